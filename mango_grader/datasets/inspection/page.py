"""An inspection as one HTML file that needs nothing else: its images are in it, and it has no scripts."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader import __version__
from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.inspection import Inspection
from mango_grader.datasets.inspection.checks import Shortcut, Unusable
from mango_grader.datasets.inspection.fruit import DRAWN_PAIRS, MatchedPair, SameFruit
from mango_grader.datasets.inspection.pairs import draw_pair
from mango_grader.datasets.scan import THUMB, Scan
from mango_grader.errors import ImageError
from mango_grader.runtime.images.preprocess import Preprocess

__all__ = ["render_inspection"]

_EXAMPLES = 8
_SETS = 12
_PER_SET = 6
_SIDE = 144
_SHOWN_BORDER = THUMB // 16
_AVERAGED = 5_000  # images of a class, for its mean border


@dataclass(frozen=True)
class _Figure:
    source: str | None  # a data: address, None where the file cannot be shown
    path: str
    label: str


@dataclass(frozen=True)
class _ShownGallery:
    title: str
    caption: str
    total: int
    sets: tuple[tuple[_Figure, ...], ...]


@dataclass(frozen=True)
class _ShownPair:
    source: str | None  # a data: address, None where a file cannot be shown any more
    names: tuple[str, ...]  # class and path of each image
    inliers: int


def render_inspection(inspection: Inspection, dataset: Dataset, facts: Scan) -> str:
    """Return the page.

    Args:
        inspection: what to show.
        dataset: what was inspected, N images.
        facts: its scan, N rows.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = files("mango_grader.datasets.inspection") / "page.html"
    label_of = {item.path: dataset.classes[item.label] for item in dataset.items}
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        seen=inspection,
        version=__version__,
        most=max(count.images for count in inspection.classes),
        examples={name: _examples(dataset, facts, label, name) for label, name in enumerate(dataset.classes)},
        borders={name: _mean_border(dataset, facts, label) for label, name in enumerate(dataset.classes)},
        unreadable=inspection.check(Unusable).unreadable,
        probe=inspection.check(Shortcut).probe,
        pairs=[_pair(dataset.root, pair, label_of) for pair in inspection.check(SameFruit).same_fruit[:DRAWN_PAIRS]],
        pairs_total=len(inspection.check(SameFruit).same_fruit),
        galleries=list(_galleries(inspection, dataset, label_of)),
    )


def _galleries(inspection: Inspection, dataset: Dataset, label_of: Mapping[str, str]) -> Iterator[_ShownGallery]:
    for gallery in (gallery for check in inspection.checks for gallery in check.galleries()):
        if gallery.sets:
            shown = (
                tuple(_figure(dataset, path, label_of[path]) for path in one[:_PER_SET]) for one in gallery.sets[:_SETS]
            )
            yield _ShownGallery(gallery.title, gallery.caption, len(gallery.sets), tuple(shown))


def _pair(root: Path, pair: MatchedPair, label_of: Mapping[str, str]) -> _ShownPair:
    names = tuple(f"{label_of[path]} {path}" for path in pair.paths)
    first, second = (root / path for path in pair.paths)
    try:
        drawn = draw_pair(first, second, pair.points)
    except ImageError:
        return _ShownPair(None, names, pair.inliers)
    return _ShownPair(_address(drawn, "JPEG"), names, pair.inliers)


def _examples(dataset: Dataset, facts: Scan, label: int, name: str) -> list[_Figure]:
    rows = np.flatnonzero((dataset.labels == label) & facts.readable)
    return [_figure(dataset, dataset.items[index].path, name) for index in _spread(rows, _EXAMPLES)]


def _spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most so many of the rows, evenly spread."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))
    return np.asarray(rows[places], np.int64)


def _figure(dataset: Dataset, path: str, label: str) -> _Figure:
    try:
        pixels = Preprocess(_SIDE, _SIDE)(dataset.root / path)
    except ImageError:
        return _Figure(None, path, label)
    return _Figure(_address(Image.fromarray(pixels), "JPEG"), path, label)


def _mean_border(dataset: Dataset, facts: Scan, label: int) -> str | None:
    """The average of what the probe sees of a class: the border, the middle cut out."""
    rows = _spread(np.flatnonzero((dataset.labels == label) & facts.readable), _AVERAGED)
    if not len(rows):
        return None
    canvas = np.full((THUMB, THUMB, 4), 255, np.uint8)
    canvas[..., :3] = facts.thumbs[rows].mean(0).round().astype(np.uint8)
    canvas[_SHOWN_BORDER:-_SHOWN_BORDER, _SHOWN_BORDER:-_SHOWN_BORDER, 3] = 0
    return _address(Image.fromarray(canvas).resize((4 * THUMB, 4 * THUMB), Image.Resampling.NEAREST), "PNG")


def _address(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
