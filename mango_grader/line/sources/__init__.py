"""Sources: where frames come from. Each is one module."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.line.sources.base import Source, SourceCounts
    from mango_grader.line.sources.folder import FrameFolder
    from mango_grader.line.sources.given import GivenFrames
    from mango_grader.line.sources.opening import SourceOptions, open_source
    from mango_grader.line.sources.video import Video

__all__ = ["FrameFolder", "GivenFrames", "Source", "SourceCounts", "SourceOptions", "Video", "open_source"]

__getattr__ = lazy_names(
    __name__,
    {
        "base": ("Source", "SourceCounts"),
        "folder": ("FrameFolder",),
        "given": ("GivenFrames",),
        "opening": ("SourceOptions", "open_source"),
        "video": ("Video",),
    },
)
