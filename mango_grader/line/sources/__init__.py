"""Sources: where frames come from. Each is one module."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.line.sources.base import LiveSource, Source, SourceCounts
    from mango_grader.line.sources.buffer import Buffered, buffered
    from mango_grader.line.sources.encoder import Encoder, ModbusEncoder, ModbusRegister, WithTicks
    from mango_grader.line.sources.folder import FrameFolder
    from mango_grader.line.sources.given import GivenFrames
    from mango_grader.line.sources.hot import HotFolder
    from mango_grader.line.sources.live import LiveCamera
    from mango_grader.line.sources.opening import SourceOptions, open_source
    from mango_grader.line.sources.video import Video

__all__ = [
    "Buffered", "Encoder", "FrameFolder", "GivenFrames", "HotFolder", "LiveCamera", "LiveSource", "ModbusEncoder",
    "ModbusRegister", "Source", "SourceCounts", "SourceOptions", "Video", "WithTicks", "buffered", "open_source",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "base": ("LiveSource", "Source", "SourceCounts"),
        "buffer": ("Buffered", "buffered"),
        "encoder": ("Encoder", "ModbusEncoder", "ModbusRegister", "WithTicks"),
        "folder": ("FrameFolder",),
        "given": ("GivenFrames",),
        "hot": ("HotFolder",),
        "live": ("LiveCamera",),
        "opening": ("SourceOptions", "open_source"),
        "video": ("Video",),
    },
)
