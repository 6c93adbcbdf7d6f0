"""Names of files: endings of images, and clutter that operating systems and storages create."""

import re

__all__ = ["IMAGE_SUFFIXES", "READ_SUFFIXES", "is_clutter"]

READ_SUFFIXES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".mpo", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
})  # fmt: skip
"""Endings of the images that are read; HEIC and HEIF where the extra `heic` is installed."""

IMAGE_SUFFIXES = READ_SUFFIXES | {
    ".jxl", ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".mrw", ".nef", ".nrw", ".orf", ".pef",
    ".raf", ".rw2", ".sr2", ".srw", ".x3f",
}  # fmt: skip
"""Endings of all images, including those that are not read but reported with a reason: JPEG XL and camera raw."""

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
    """Return whether a file or folder of this name is never data, such as Thumbs.db and hidden ones.

    Whatever a user names explicitly is data all the same.

    Args:
        name: without its folder, in any letter case.
    """
    folded = name.casefold()
    return folded in _NAMES or _PATTERN.match(folded) is not None
