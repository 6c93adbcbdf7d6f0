"""Names of files and folders that are never data: what operating systems, storages and archives leave behind."""

import re

__all__ = ["is_clutter"]

_NAMES = frozenset(
    {
        "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",  # Windows: thumbnails, how a folder looks
        "$recycle.bin", "system volume information",  # Windows: at the top of every drive
        "lost+found",  # Linux: at the top of every drive
        "__macosx", "icon\r", "network trash folder", "temporary items",  # macOS: in archives and on shares
        "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp",  # Synology, QNAP
        "picasa.ini",
    }
)  # fmt: skip
_PATTERN = re.compile(r"\.|~\$|found\.\d{3}\Z|.*@syno(?:eastream|resource)\Z", re.DOTALL)  # .hidden, ~$open, chkdsk


def is_clutter(name: str) -> bool:
    """Return whether a file or folder of this name (no path), in any letter case, is never data.

    Hidden ones (.DS_Store, .git) are among them. Whatever a user names outright is data all the same.
    """
    folded = name.casefold()
    return folded in _NAMES or _PATTERN.match(folded) is not None
