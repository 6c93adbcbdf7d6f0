"""The finder that asks a detection network: any ONNX graph whose output is laid out as YOLO's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError, UsageError
from mango_grader.line.belt import Axes
from mango_grader.line.finders.base import FinderSettings
from mango_grader.line.finders.blobs import RegionOfInterest, in_order, lies_inside, make_blob
from mango_grader.line.finders.palette import PaletteFinder, PaletteSettings
from mango_grader.line.observations import Blob
from mango_grader.ranges import Pixels, Share
from mango_grader.runtime.inference.sessions import make_session, run_session

_GREY = 114  # beside the frame, as in the training of detectors
_LARGEST_INPUT = 8192


@dataclass(frozen=True)
class DetectorSettings(FinderSettings):
    """Fruit is what a detection network finds.

    The network is an ONNX graph: one input (1, 3, height, width), float32 RGB from 0 to 1, and an output (1, 4 + C, N)
    of N boxes as centre, size and the scores of C classes, or (1, N, 6) of boxes as corners, score and class, both in
    pixels of the input. Exports of YOLOv8 and its successors are laid out like this. Every class counts as fruit.

    Attributes:
        model: path of the graph.
        threshold: least score of a fruit.
        overlap: of two boxes with a greater intersection over union, the one with the lower score is left out.
        mask: shape of a fruit in its box; with a palette, only pixels that do not have the belt's colours are its own.
        palette: of the belt, for more exact masks; None takes the shape as it is.
        size: height and width of the input, in pixels, of a graph that leaves them open.

    Example:
        ```toml
        [finder]
        kind = "detector"
        model = "fruit.onnx"
        ```
    """

    model: str
    threshold: Share = 0.25
    overlap: Share = 0.5
    mask: Literal["ellipse", "box"] = "ellipse"
    palette: PaletteSettings | None = None
    size: Pixels = 640

    def build(self, axes: Axes) -> "DetectorFinder":
        """Return the finder.

        Raises:
            UsageError: there is no such file, or it is no such graph.
        """
        return DetectorFinder(self, axes.belt.roi)


class DetectorFinder:
    """Finds fruit with a detection network.

    Args:
        settings: which network, and what counts as found.
        roi: corners (x, y) of the region of interest in pixels; none is the whole image.

    Raises:
        UsageError: there is no such file, or it is no such graph.
    """

    def __init__(self, settings: DetectorSettings, roi: tuple[tuple[float, float], ...] = ()) -> None:
        self.settings = settings
        self._roi = RegionOfInterest(roi)
        self._palette = None if settings.palette is None else PaletteFinder(settings.palette)
        self._session = _open(settings.model)
        self._input, self._size = _input_of(self._session, settings)

    def find(self, image: NDArray[np.uint8]) -> list[Blob]:
        """Return the blobs of a frame, from the left to the right of the image."""
        pixels, scale, left, top = _letterbox(image, self._size)
        found = self._boxes(run_session(self._session, {self._input: pixels})[0])
        found = (found - np.array([left, top, left, top])) / scale
        outside = self._roi.outside(image.shape[:2])
        away = None if self._palette is None else self._palette.away(image)
        blobs = (self._blob(box, image.shape[:2], outside, away) for box in found)
        return in_order([blob for blob in blobs if blob is not None])

    def _boxes(self, output: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the boxes that stay, as corners in pixels of the input, (n, 4)."""
        if output.ndim != 3 or len(output) != 1 or (output.shape[2] != 6 and output.shape[1] < 5):
            raise UsageError(
                f"{self.settings.model}: the output has the shape {output.shape}; it is (1, 4 + classes, boxes) or "
                "(1, boxes, 6)"
            )
        rows = output[0].astype(np.float64)
        if output.shape[2] == 6:
            corners, scores = rows[:, :4], rows[:, 4]
        else:
            (x, y, width, height), scores = rows[:4], rows[4:].max(axis=0)
            corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
        usable = np.isfinite(corners).all(axis=1) & (np.abs(corners) < 2 * _LARGEST_INPUT).all(axis=1)
        usable &= (scores >= self.settings.threshold) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        corners, scores = corners[usable], scores[usable]
        sizes = np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
        kept = cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), self.settings.threshold, self.settings.overlap)
        chosen: NDArray[np.float64] = corners[np.asarray(kept, int).ravel()]
        return chosen

    def _blob(
        self,
        corners: NDArray[np.float64],
        shape: tuple[int, ...],
        outside: NDArray[np.uint8] | None,
        away: NDArray[np.float32] | None,
    ) -> Blob | None:
        """Return the fruit in a box, in pixels of the frame; None where nothing of it is in the frame."""
        left, top, right, bottom = (int(each) for each in np.round(corners))
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, shape[1]), min(bottom, shape[0])
        if x0 >= x1 or y0 >= y1:
            return None
        mask = np.ones((y1 - y0, x1 - x0), np.uint8)
        if self.settings.mask == "ellipse":
            away_x = (np.arange(x0, x1) + 0.5 - (left + right) / 2) / ((right - left) / 2)
            away_y = (np.arange(y0, y1) + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2)
            mask = (away_x**2 + away_y[:, None] ** 2 <= 1).astype(np.uint8)
        if self._palette is not None and away is not None:
            own = away[y0:y1, x0:x1]
            not_belt = own > self._palette.edge(own[mask > 0])
            mask = np.where(not_belt, mask, 0) if (not_belt & (mask > 0)).any() else mask
        complete = lies_inside(mask, x0, y0, shape, outside)
        if outside is not None:
            mask = mask & (1 - outside[y0:y1, x0:x1])
        return make_blob(mask > 0, x0, y0, complete) if mask.any() else None


def _open(path: str) -> Any:
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file")
    try:
        return make_session(path, "cpu")
    except BundleError as error:
        raise UsageError(f"{path}: {error}") from error


def _input_of(session: Any, settings: DetectorSettings) -> tuple[str, tuple[int, int]]:
    """Return the name of the graph's input and its height and width."""
    inputs = session.get_inputs()
    shape = list(inputs[0].shape)
    known = [side if isinstance(side, int) else settings.size for side in shape[2:]]
    usable = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(shape) == 4
    if not usable or (isinstance(shape[0], int) and shape[0] != 1) or shape[1] != 3 or max(known) > _LARGEST_INPUT:
        raise UsageError(f"{settings.model}: the graph takes no single image (1, 3, height, width) of float32")
    return inputs[0].name, (known[0], known[1])


def _letterbox(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.float32], float, int, int]:
    """Return the pixels for the network, and where the image lies in them: its scale, its left and its top."""
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inside = max(1, round(height * scale)), max(1, round(width * scale))
    canvas = np.full((*size, 3), _GREY, np.uint8)
    top, left = (size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[top : top + inside[0], left : left + inside[1]] = cv2.resize(
        np.ascontiguousarray(image), inside[::-1], interpolation=how
    )
    pixels = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    return pixels, scale, left, top
