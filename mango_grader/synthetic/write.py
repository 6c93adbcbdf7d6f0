"""Writes a folder of synthetic mangoes that reads as a data set; resumable, and each file whole or not at all.

images/mango_00001.jpg   the image
masks/mango_00001.png    the `Kind` of defect at each pixel, as palette indices
clean/mango_00001.jpg    the same image without defects (on request)
labels.csv               image_id, label, fruit_id, background, severity, length_px
lesions.csv              image_id, kind, area_px, area_thumbs, weight
synth.json               the settings, so that only the same set is ever continued
"""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mango_grader.cores import ordered_map
from mango_grader.errors import UsageError
from mango_grader.files import digest, read_json, write_bytes, write_csv, write_json
from mango_grader.progress import Progress, SilentProgress
from mango_grader.synthetic.fruit import Fruit, Series
from mango_grader.synthetic.rule import GRADES, WEIGHTS, Kind, Lesion, near_limit

_GENERATOR = 1  # Raise it when the same seed no longer gives the same images.
_QUALITY = 92
_TRUTH = "mango"  # text chunk of the mask that holds its rows of the tables
_PALETTE = (0, 0, 0, 222, 170, 80, 190, 90, 40, 235, 60, 70, 120, 60, 160)


@dataclass(frozen=True)
class Written:
    """The content of a folder of synthetic mangoes.

    Attributes:
        images: number of images.
        made: number of images that are new.
        grades: number of images by grade.
        near_limit: share of images within ± 20 % of a limit of the rule, 0..1.
    """

    images: int
    made: int
    grades: Mapping[str, int]
    near_limit: float


@dataclass(frozen=True)
class _Row:
    """The true values of one image, and the digests of its files; its mask holds them, and is written last."""

    image_id: str
    label: str
    fruit_id: str
    background: str
    severity: float
    length_px: float
    lesions: tuple[Lesion, ...]
    digests: Mapping[str, str]  # folder -> SHA-256

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "_Row":
        row: dict[str, Any] = json.loads(text)
        lesions = tuple(Lesion(**{**found, "kind": Kind(found["kind"])}) for found in row.pop("lesions"))
        return cls(**row, lesions=lesions)


def write_synthetic(
    folder: str | PathLike[str],
    count: int,
    series: Series,
    *,
    clean: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write all images of the first fruit of a series to a folder; images that are there and whole are kept.

    Args:
        folder: where; made if need be.
        count: number of fruit, 1 or more.
        series: which fruit, and how they are drawn.
        clean: also write the images without defects.
        workers: number of threads; None is one per core. The images do not depend on it.
        progress: shows how far it is.

    Raises:
        UsageError: `count` is below 1, or the folder holds anything but images of this very series.

    Example:
        ```python
        from mango_grader.synthetic import Series, write_synthetic

        written = write_synthetic("drawn", 3, Series(seed=1, size=64))
        print(written.grades)
        ```
    """
    if count < 1:
        raise UsageError(f"there must be at least 1 mango, not {count}")
    root = Path(folder)
    _claim(root, series)
    made, rows = 0, []
    images = count * series.views
    with (progress or SilentProgress()).task("synthetic mangoes", images) as task:
        for row, fresh in ordered_map(partial(_write_one, root, series, clean), range(images), workers):
            rows.append(row)
            made += fresh
            task.advance()
    _write_tables(root, rows)
    grades = Counter(row.label for row in rows)
    near = sum(near_limit(row.lesions) for row in rows) / len(rows)
    return Written(len(rows), made, {grade: grades[grade] for grade in GRADES}, near)


def _claim(root: Path, series: Series) -> None:
    settings = {"generator": _GENERATOR, **asdict(series), "backgrounds": sorted(set(series.backgrounds))}
    path = root / "synth.json"
    if path.is_file():
        try:
            found = read_json(path)
        except ValueError:
            found = None
        if found != settings:
            raise UsageError(f"{root} holds another set of mangoes (see {path.name}); choose another folder")
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"{root} exists and holds no set of synthetic mangoes; choose another folder")
    else:
        write_json(path, settings)


def _write_one(root: Path, series: Series, clean: bool, index: int) -> tuple[_Row, bool]:
    fruit = series.at(index)
    name = f"mango_{fruit.number + 1:05d}" + (f"-{fruit.view + 1}" if series.views > 1 else "")
    row = _existing(root, name, clean)
    return (row, False) if row else (_draw(root, name, fruit, clean), True)


def _draw(root: Path, name: str, fruit: Fruit, clean: bool) -> _Row:
    images = {"images": fruit.image} | ({"clean": fruit.clean} if clean else {})
    files = {folder: _jpeg(pixels) for folder, pixels in images.items()}
    for folder, data in files.items():
        write_bytes(root / folder / f"{name}.jpg", data)
    row = _Row(
        image_id=f"{name}.jpg",
        label=fruit.grade,
        fruit_id=fruit.fruit_id,
        background=fruit.background,
        severity=round(fruit.severity, 4),
        length_px=round(fruit.length, 2),
        lesions=fruit.lesions,
        digests={folder: digest(data) for folder, data in files.items()},
    )
    write_bytes(_mask_path(root, name), _png(fruit.mask, row.to_json()))  # Last: if it exists, so do the others.
    return row


def _existing(root: Path, name: str, clean: bool) -> _Row | None:
    """Return the row of an image whose files all exist and are whole; None otherwise."""
    try:
        with Image.open(_mask_path(root, name)) as mask:
            mask.load()
            row = _Row.from_json(mask.info[_TRUTH])
        for folder in ("images", "clean") if clean else ("images",):
            if digest((root / folder / f"{name}.jpg").read_bytes()) != row.digests[folder]:
                return None
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):  # Pillow raises SyntaxError for a broken PNG.
        return None
    return row


def _mask_path(root: Path, name: str) -> Path:
    return root / "masks" / f"{name}.png"


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _png(codes: NDArray[np.uint8], text: str) -> bytes:
    image = Image.fromarray(codes).convert("P")
    image.putpalette(_PALETTE)
    info = PngInfo()
    info.add_text(_TRUTH, text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _write_tables(root: Path, rows: Sequence[_Row]) -> None:
    lesions = (
        (row.image_id, found.kind.label, found.area_px, round(found.area_thumbs, 4), WEIGHTS[found.kind])
        for row in rows
        for found in row.lesions
    )
    labels = ((row.image_id, row.label, row.fruit_id, row.background, row.severity, row.length_px) for row in rows)
    write_csv(root / "lesions.csv", ("image_id", "kind", "area_px", "area_thumbs", "weight"), lesions)
    write_csv(
        root / "labels.csv", ("image_id", "label", "fruit_id", "background", "severity", "length_px"), labels
    )  # Last: with it the folder is a data set.
