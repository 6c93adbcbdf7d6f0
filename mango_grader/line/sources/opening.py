"""What SOURCE means on the command line."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.line.sources.base import Source
from mango_grader.line.sources.encoder import ModbusEncoder, ModbusRegister, WithTicks
from mango_grader.line.sources.folder import FrameFolder
from mango_grader.line.sources.hot import SETTLE, HotFolder
from mango_grader.line.sources.live import TIMEOUT, LiveCamera, without_secrets
from mango_grader.line.sources.video import Video
from mango_grader.ranges import NotNegative, Positive, Ranged
from mango_grader.runtime.images.names import IMAGE_SUFFIXES
from mango_grader.text import one_line

_STREAM = re.compile(r"(rtsps?|https?)://", re.IGNORECASE)
_CAMERA, _HOT = "camera:", "hot:"


@dataclass(frozen=True)
class SourceOptions(Ranged):
    """How to open a source; an option that its kind of source ignores is refused.

    Attributes:
        fps: frames per second, where nothing tells when they were taken.
        times: path of a CSV (name, time in seconds, and perhaps ticks and index) for a folder.
        hot: whether images are still being written into the folder.
        settle: seconds for which size and time of a file in a hot folder must hold still; None is 0.2.
        timeout: seconds after which a camera that sends nothing is lost; None is 5.
        encoder: where a PLC counts the ticks of the belt, see `ModbusRegister.parse`; for a camera.
        stop_after: seconds without a frame after which a hot folder or a camera ends; None never does.
        stop_file: path of a file; a hot folder or a camera ends when there is one.
    """

    fps: Positive | None = None
    times: str | None = None
    hot: bool = False
    settle: NotNegative | None = None
    timeout: Positive | None = None
    encoder: str | None = None
    stop_after: Positive | None = None
    stop_file: str | None = None

    def given(self) -> list[str]:
        """Return the names of the options that are not left at their defaults."""
        return [each.name for each in fields(self) if getattr(self, each.name) != each.default]


def open_source(text: str, options: SourceOptions = SourceOptions()) -> Source:
    """Return the source that a text means.

    Args:
        text: path of a folder or of a video; hot:DIR for a folder into which images are still being written; camera:0
            for a camera of this machine; or a URL (rtsp://, http://) of one.
        options: how to open it.

    Raises:
        UsageError: it cannot be opened, or its kind ignores one of the options; one line says what to do.

    Example:
        ```python
        source = open_source("belt", SourceOptions(fps=30))
        print(source.name, len(source))
        ```
    """
    kind = _kind(text, options.hot)
    used, build = _KINDS[kind]
    if ignored := [name for name in options.given() if name not in used]:
        shown = without_secrets(text) if _STREAM.match(text) else one_line(text)
        raise UsageError(f"{shown} is {kind}, which has no use for --{ignored[0].replace('_', '-')}")
    return build(text, options)


def _folder(text: str, options: SourceOptions) -> Source:
    return FrameFolder(text, options.fps, options.times)


def _video(text: str, options: SourceOptions) -> Source:
    return Video(text, options.fps)


def _hot(text: str, options: SourceOptions) -> Source:
    return HotFolder(
        text.removeprefix(_HOT),
        options.fps,
        settle=SETTLE if options.settle is None else options.settle,
        stop_after=options.stop_after,
        stop_file=options.stop_file,
    )


def _camera(text: str, options: SourceOptions) -> Source:
    number = text.removeprefix(_CAMERA)
    if not _STREAM.match(text) and not re.fullmatch(r"\d{1,3}", number, re.ASCII):
        raise UsageError(f"a camera of this machine is written camera:0, not {one_line(text)}")
    encoder = None if options.encoder is None else ModbusEncoder(ModbusRegister.parse(options.encoder))
    camera = LiveCamera(
        text if _STREAM.match(text) else int(number),
        timeout=TIMEOUT if options.timeout is None else options.timeout,
        stop_after=options.stop_after,
        stop_file=options.stop_file,
    )
    camera.find()
    return camera if encoder is None else WithTicks(camera, encoder)


_ENDS = {"stop_after", "stop_file"}
_KINDS: Mapping[str, tuple[set[str], Callable[[str, SourceOptions], Source]]] = {
    "a folder": ({"fps", "times"}, _folder),
    "a video": ({"fps"}, _video),
    "a hot folder": ({"fps", "hot", "settle", *_ENDS}, _hot),
    "a camera": ({"timeout", "encoder", *_ENDS}, _camera),
}


def _kind(text: str, hot: bool) -> str:
    if _STREAM.match(text) or text.startswith(_CAMERA):
        return "a camera"
    path = Path(text)
    if path.is_dir() or text.startswith(_HOT):
        return "a hot folder" if hot or text.startswith(_HOT) else "a folder"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UsageError(f"{one_line(text)} is a single image; name the folder of the frames")
    if hot:
        raise UsageError(f"{one_line(text)}: no such folder, which --hot needs")
    return "a video"
