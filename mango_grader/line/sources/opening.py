"""What SOURCE means on the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.line.sources.base import Source
from mango_grader.line.sources.folder import FrameFolder
from mango_grader.line.sources.video import Video
from mango_grader.ranges import Positive, Ranged
from mango_grader.runtime.images.names import IMAGE_SUFFIXES


@dataclass(frozen=True)
class SourceOptions(Ranged):
    """How to open a source; an option that its kind of source ignores is refused.

    Attributes:
        fps: frames per second, where nothing tells when they were taken.
        times: path of a CSV (name, time in seconds, and perhaps ticks) for a folder.
    """

    fps: Positive | None = None
    times: str | None = None

    def given(self) -> list[str]:
        """Return the names of the options that are not left at their defaults."""
        return [each.name for each in fields(self) if getattr(self, each.name) != each.default]


def open_source(text: str, options: SourceOptions = SourceOptions()) -> Source:
    """Return the source that a text means: a folder of frames, or a video file.

    Args:
        text: path of a folder or of a video.
        options: how to open it.

    Raises:
        UsageError: it cannot be opened, or its kind ignores one of the options; one line says what to do.

    Example:
        ```python
        source = open_source("belt", SourceOptions(fps=30))
        print(source.name, len(source))
        ```
    """
    kind = _kind(text)
    used, build = _KINDS[kind]
    if ignored := [name for name in options.given() if name not in used]:
        raise UsageError(f"{text} is {kind}, which has no use for --{ignored[0].replace('_', '-')}")
    return build(text, options)


_KINDS: Mapping[str, tuple[frozenset[str], Callable[[str, SourceOptions], Source]]] = {
    "a folder": (frozenset({"fps", "times"}), lambda text, options: FrameFolder(text, options.fps, options.times)),
    "a video": (frozenset({"fps"}), lambda text, options: Video(text, options.fps)),
}


def _kind(text: str) -> str:
    path = Path(text)
    if path.is_dir():
        return "a folder"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UsageError(f"{text} is a single image; name the folder of the frames")
    return "a video"
