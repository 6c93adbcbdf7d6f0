"""The finder for a belt of any make: fruit is what does not have the belt's colours."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes
from mango_grader.line.finders.base import FinderSettings
from mango_grader.line.finders.blobs import RegionOfInterest, framed, in_order, lies_inside, make_blob
from mango_grader.line.finders.colours import UNIT, BeltColours
from mango_grader.line.finders.splitting import split
from mango_grader.line.observations import Blob
from mango_grader.ranges import NotNegative, Pixels, Positive, Share

_LIGHT_SAMPLES = 1600  # pixels from which the light of a frame is known
_EDGE = 0.3  # of a fruit's distance from the belt's colours: where its outline is
_CREVICE = 0.6  # of the distances around: where one fruit touches another
_THIN = 0.35  # depth of the smallest fruit of a group, as a share of that of the largest
_CONVEX = 0.93  # a fruit has this share of its convex hull,
_OBLONG = 1.8  # and its area is at most this many times that of the largest disc in it


@dataclass(frozen=True)
class PaletteSettings(FinderSettings):
    """Fruit is what has none of the colours of the empty belt.

    The belt may move and be made of meshes, rods, holes or rollers: what counts is which colours it has, not where.
    `learn_palette` makes these settings from frames of the empty belt.

    Attributes:
        colours: of the empty belt, each as L*, a*, b* and its share of the pixels in percent.
        threshold: how far from all of them a colour is that of fruit, in units of a* and b*; lightness counts a third.
        shadow: light in the darkest shadow on the belt, as a share of the light beside it.
        light: whether the brightness and the white balance of each frame are matched to those of the empty belt.
        min_diameter: of a fruit, in pixels; smaller things are left out.
        smallest: diameter of a fruit, as a share of that of the large fruit in its frame; smaller things are left out.
        max_diameter: of a fruit, in pixels; larger things are left out; None is no limit.
        neck: touching fruit are taken apart where the two of them are narrower than this share of the thinner one.
        work_size: longer side of frames, at most, when fruit are searched, in pixels.

    Example:
        >>> finder = PaletteFinder(PaletteSettings(colours=((30.4, 28.5, -55.5, 100.0),)))
        >>> image = np.full((48, 64, 3), (40, 60, 160), np.uint8)
        >>> image[10:40, 20:50] = 220, 180, 60
        >>> len(finder.find(image))
        1
    """

    colours: tuple[tuple[float, float, float, float], ...]
    threshold: Positive = 3.0
    shadow: Share = 0.45
    light: bool = True
    min_diameter: NotNegative = 16.0
    smallest: Share = 0.45
    max_diameter: Positive | None = None
    neck: Share = 0.85
    work_size: Pixels = 480

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.colours or min(row[3] for row in self.colours) <= 0:
            raise UsageError("finder: colours has a row of four numbers (L*, a*, b*, share above 0) for each colour")

    def build(self, axes: Axes) -> "PaletteFinder":
        """Return the finder."""
        return PaletteFinder(self, axes.belt.roi)


class PaletteFinder:
    """Finds what does not have the belt's colours.

    Args:
        settings: of the belt.
        roi: corners (x, y) of the region of interest in pixels; none is the whole image.
    """

    def __init__(self, settings: PaletteSettings, roi: tuple[tuple[float, float], ...] = ()) -> None:
        self.settings = settings
        self._roi = RegionOfInterest(roi)
        self._belt = BeltColours(settings.colours, settings.shadow)

    def find(self, image: NDArray[np.uint8]) -> list[Blob]:
        """Return the blobs of a frame, from the left to the right of the image."""
        height, width = image.shape[:2]
        factor = self.factor(height, width)
        small = reduced(image, factor)
        distances = self.distances(small)
        outside = self._roi.outside(small.shape, factor)
        if outside is not None:
            distances[outside > 0] = 0
        blobs = []
        for mask, left, top in self._pieces(distances, factor):
            complete = lies_inside(mask, left, top, small.shape, outside)
            blobs.append(make_blob(enlarged(mask, factor), left * factor, top * factor, complete))
        return in_order(_of_a_size(blobs, self.settings.smallest))

    def away(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how far each pixel of a frame is from the belt's colours, (H, W), in units of a* and b*."""
        factor = self.factor(*image.shape[:2])
        distances = self.distances(reduced(image, factor))
        size = distances.shape[1] * factor, distances.shape[0] * factor
        found = np.zeros(image.shape[:2], np.float32)
        found[: size[1], : size[0]] = cv2.resize(distances, size, interpolation=cv2.INTER_LINEAR)
        return found

    def edge(self, distances: NDArray[np.float32]) -> float:
        """Return the distance from the belt's colours at the outline of a fruit.

        Smoothing gives a fruit that differs much from the belt a halo, which is cut off there.

        Args:
            distances: (n,), of pixels of which most are of one fruit.
        """
        fruit = distances[distances > self.settings.threshold]
        return max(self.settings.threshold, _EDGE * float(np.median(fruit))) if fruit.size else self.settings.threshold

    def factor(self, height: int, width: int) -> int:
        """Return by how much a frame of this size, in pixels, is reduced before fruit are searched."""
        return max(1, min(-(-max(height, width) // self.settings.work_size), min(height, width)))

    def distances(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how far each pixel is from the belt's colours, (H, W), in units of a* and b*.

        Args:
            image: (H, W, 3) uint8 RGB, as `reduced` returns it.
        """
        gains = (1.0, 1.0, 1.0)
        if self.settings.light:
            step = max(1, int((image.shape[0] * image.shape[1] / _LIGHT_SAMPLES) ** 0.5))
            gains = self._belt.gains(np.ascontiguousarray(image[::step, ::step]))
        distances = cv2.GaussianBlur(self._belt.distances(image, gains), (0, 0), 1.0)
        return np.asarray(distances * np.float32(UNIT), np.float32)

    def _pieces(self, distances: NDArray[np.float32], factor: int) -> list[tuple[NDArray[np.uint8], int, int]]:
        """Return the mask of each fruit and where it begins, in reduced pixels."""
        least = self.settings.min_diameter / factor
        most = np.inf if self.settings.max_diameter is None else self.settings.max_diameter / factor
        foreign = (distances > self.settings.threshold).astype(np.uint8)
        found = []
        for outline in cv2.findContours(foreign, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            left, top, width, height = cv2.boundingRect(outline)
            if max(width, height) < least:
                continue
            solid = np.zeros((height, width), np.uint8)
            cv2.drawContours(solid, [outline], -1, 1, cv2.FILLED, offset=(-left, -top))
            blob = _Region(distances[top : top + height, left : left + width] * solid, left, top, distances.shape)
            for part in self._parts(blob, most):
                x, y, part_width, part_height = cv2.boundingRect(part)
                if least <= _diameter(part) <= most:
                    found.append((part[y : y + part_height, x : x + part_width], left + x, top + y))
        return found

    def _parts(self, blob: "_Region", most: float) -> list[NDArray[np.uint8]]:
        """Return the fruit of a blob, each as a mask of the blob's size."""
        mask = _without_specks((blob.distances > self.edge(blob.distances)).astype(np.uint8))
        depth = _depth(mask)
        deepest = float(depth.max())
        outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        if len(outlines) == 1:
            convex = cv2.contourArea(outlines[0]) >= _CONVEX * cv2.contourArea(cv2.convexHull(outlines[0]))
            single = _filled(mask)
            if convex and cv2.countNonZero(single) <= _OBLONG * np.pi * deepest**2 and _diameter(single) <= most:
                return [single]
        # Between touching fruit, each is less unlike the belt, by its shadow and the light on the other one.
        around = max(deepest / 2, 1.0)
        level = _CREVICE * cv2.GaussianBlur(blob.distances * mask, (0, 0), around)
        clear = blob.distances * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), around) > level
        depth = _depth(_without_specks(mask & clear))
        labels = split(depth, mask, self.settings.neck, smallest=_THIN * float(depth.max()))
        return [_smooth((labels == number).astype(np.uint8)) for number in range(1, int(labels.max()) + 1)]


@dataclass(frozen=True, eq=False)
class _Region:
    """A blob that may be several fruit.

    distances: (h, w), from the belt's colours, 0 beside the blob. left, top: where it begins in the frame. shape: of
    the frame, rows and columns.
    """

    distances: NDArray[np.float32]
    left: int
    top: int
    shape: tuple[int, ...]


def reduced(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return an image in which the noise of single pixels is gone, smaller by a factor.

    Args:
        image: (H, W, 3) uint8 RGB.
        factor: 1 or more; what is left of its last rows and columns is cut off.
    """
    height, width = image.shape[0] // factor, image.shape[1] // factor
    whole = np.ascontiguousarray(image[: height * factor, : width * factor])
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA) if factor > 1 else whole
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.uint8)


def _diameter(mask: NDArray[np.uint8]) -> float:
    """Return the diameter of a disc with as many pixels."""
    return float(np.sqrt(cv2.countNonZero(mask) * 4 / np.pi))


def _depth(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the distance of each pixel from the outline of a mask; the border of the frame is an outline, too."""
    return np.asarray(cv2.distanceTransform(framed(mask), cv2.DIST_L2, 5), np.float32)[1:-1, 1:-1]


def enlarged(mask: NDArray[np.uint8], factor: int) -> NDArray[np.bool_]:
    """Return a mask, larger by a factor, with a smooth outline.

    Args:
        mask: (h, w) of 0 and 1.
        factor: 1 or more.
    """
    if factor == 1:
        return mask > 0
    smooth = cv2.resize(framed(mask * 255), None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    larger: NDArray[np.bool_] = np.asarray(smooth)[factor:-factor, factor:-factor] > 127
    return larger


def _of_a_size(blobs: list[Blob], smallest: float) -> list[Blob]:
    """Return blobs without the whole ones that are much smaller than the large whole ones, such as leaves and dirt."""
    areas = [blob.area for blob in blobs if blob.complete]
    least = smallest**2 * float(np.percentile(areas, 75, method="higher")) if areas else 0.0
    return [blob for blob in blobs if blob.area >= least or not blob.complete]


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if outlines:
        mask = np.zeros_like(mask)
        cv2.drawContours(mask, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return mask


def _smooth(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one fruit without its holes and without what hangs on it by a thread."""
    size = 2 * int(0.2 * cv2.distanceTransform(framed(mask), cv2.DIST_L2, 5).max()) + 1
    opened = cv2.morphologyEx(
        framed(mask, size), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    )
    return _filled(np.ascontiguousarray(opened[size:-size, size:-size]))


def _without_specks(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill holes that are specks on a fruit; a gap between touching fruit stays, as it tells them apart."""
    holes = framed(1 - mask, value=1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(holes, connectivity=4)
    depth = cv2.distanceTransform(framed(mask), cv2.DIST_L2, 5).max()
    specks = stats[:, cv2.CC_STAT_AREA] < 0.05 * depth**2
    specks[0] = False
    filled: NDArray[np.uint8] = mask | specks[labels[1:-1, 1:-1]].astype(np.uint8)
    return filled
