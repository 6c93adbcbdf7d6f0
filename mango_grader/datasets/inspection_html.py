"""An inspection as one HTML file that needs nothing else: pictures are in it, scripts are not."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import numpy as np
from PIL import Image

from mango_grader import __version__
from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.inspection import Inspection
from mango_grader.datasets.scan import THUMB, Scan
from mango_grader.errors import ImageError
from mango_grader.runtime.images.preprocess import Preprocess

__all__ = ["render_inspection"]

_EXAMPLES = 8
_SETS = 12
_PER_SET = 6
_SIDE = 144
_SHOWN_BORDER = THUMB // 16


@dataclass(frozen=True)
class _Picture:
    source: str | None  # a data: address, None where the file cannot be shown
    path: str
    label: str


@dataclass(frozen=True)
class _Gallery:
    title: str
    remark: str
    total: int
    sets: tuple[tuple[_Picture, ...], ...]


def render_inspection(inspection: Inspection, dataset: Dataset, facts: Scan) -> str:
    """Return the report of `inspection`, which was made of `dataset` and its scan `facts`."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = files("mango_grader.datasets") / "templates" / "inspection.html"
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        seen=inspection,
        version=__version__,
        most=max(count.images for count in inspection.classes),
        examples={name: _examples(dataset, facts, label, name) for label, name in enumerate(dataset.classes)},
        borders={name: _mean_border(dataset, facts, label) for label, name in enumerate(dataset.classes)},
        galleries=list(_galleries(inspection, dataset)),
    )


def _galleries(inspection: Inspection, dataset: Dataset) -> Iterator[_Gallery]:
    label_of = {item.path: dataset.classes[item.label] for item in dataset.items}
    for title, remark, sets in (
        ("Duplicates in different classes", "a label may be wrong", inspection.across_classes),
        ("Duplicates in different parts", "the test is not fair", inspection.across_parts),
        ("Exact copies", "the same bytes", inspection.exact),
        ("Near-duplicates", "kept in one part by every split", inspection.near),
        ("Turned upright", "by their EXIF orientation", tuple((path,) for path in inspection.turned)),
    ):
        if sets:
            shown = (tuple(_picture(dataset, path, label_of[path]) for path in one[:_PER_SET]) for one in sets[:_SETS])
            yield _Gallery(title, remark, len(sets), tuple(shown))


def _examples(dataset: Dataset, facts: Scan, label: int, name: str) -> list[_Picture]:
    rows = np.flatnonzero((dataset.labels == label) & facts.readable)
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(_EXAMPLES, len(rows))).astype(int))]
    return [_picture(dataset, dataset.items[index].path, name) for index in chosen]


def _picture(dataset: Dataset, path: str, label: str) -> _Picture:
    try:
        pixels = Preprocess(_SIDE, _SIDE)(dataset.root / path)
    except ImageError:
        return _Picture(None, path, label)
    return _Picture(_address(Image.fromarray(pixels), "JPEG"), path, label)


def _mean_border(dataset: Dataset, facts: Scan, label: int) -> str | None:
    """The average of what the probe sees of a class: the border, the middle cut out."""
    rows = (dataset.labels == label) & facts.readable
    if not rows.any():
        return None
    canvas = np.full((THUMB, THUMB, 4), 255, np.uint8)
    canvas[..., :3] = facts.thumbs[rows].mean(0).round().astype(np.uint8)
    canvas[_SHOWN_BORDER:-_SHOWN_BORDER, _SHOWN_BORDER:-_SHOWN_BORDER, 3] = 0
    return _address(Image.fromarray(canvas).resize((4 * THUMB, 4 * THUMB), Image.Resampling.NEAREST), "PNG")


def _address(image: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
