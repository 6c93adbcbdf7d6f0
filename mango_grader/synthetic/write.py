"""Writes a folder of synthetic mangoes that reads as a data set; resumable, and each file whole or not at all.

images/mango_00001.jpg   the image
masks/mango_00001.png    the `Kind` of defect at each pixel, as palette indices
clean/mango_00001.jpg    the same image without defects (on request)
labels.csv               image_id, label, fruit_id, background, severity, length_px
lesions.csv              image_id, kind, area_px, area_thumbs, weight
synth.json               the settings, so that only the same set is ever continued
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from mango_grader.files import digest, read_json, write_bytes, write_json, write_text
from mango_grader.progress import Progress, SilentProgress
from mango_grader.synthetic.fruit import DEFAULT_SIZE, Fruit, fruit_at
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
    seed: int,
    *,
    size: int = DEFAULT_SIZE,
    backgrounds: Sequence[str] = (),
    views: int = 1,
    clean: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Written:
    """Write a data set of synthetic mangoes; images that exist already and are whole are kept.

    An image depends on the seed and its own number only.

    Args:
        folder: new, empty, or with the same data set.
        count: number of fruit, 1 or more.
        seed: of the series, 0 or more.
        size: height and width of the images, 64..1024 pixels.
        backgrounds: names in `BACKGROUNDS` to draw from; none are all.
        views: number of images of each fruit, 1 or more.
        clean: whether to write each image without its defects, too.
        workers: number of threads; None is one per usable core.
        progress: where to report to; None reports nowhere.

    Raises:
        UsageError: for settings that `fruit_at` refuses, a `count` below 1, or a folder that holds anything else.
    """
    if count < 1:
        raise UsageError(f"there must be at least 1 mango, not {count}")
    fruit_at(0, seed, size=size, backgrounds=backgrounds, views=views)
    root = Path(folder)
    _claim(root, {"seed": seed, "size": size, "backgrounds": sorted(set(backgrounds)), "views": views})
    made, rows = 0, []
    write = partial(_write_one, root, seed=seed, size=size, backgrounds=tuple(backgrounds), views=views, clean=clean)
    with (progress or SilentProgress()).task("synthetic mangoes", count * views) as task:
        for row, fresh in ordered_map(write, range(count * views), workers):
            rows.append(row)
            made += fresh
            task.advance()
    _write_tables(root, rows)
    grades = Counter(row.label for row in rows)
    near = sum(near_limit(row.lesions) for row in rows) / len(rows)
    return Written(len(rows), made, {grade: grades[grade] for grade in GRADES}, near)


def _claim(root: Path, settings: Mapping[str, Any]) -> None:
    settings = {"generator": _GENERATOR, **settings}
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


def _write_one(
    root: Path, index: int, *, seed: int, size: int, backgrounds: tuple[str, ...], views: int, clean: bool
) -> tuple[_Row, bool]:
    fruit = fruit_at(index, seed, size=size, backgrounds=backgrounds, views=views)
    name = f"mango_{fruit.number + 1:05d}" + (f"-{fruit.view + 1}" if views > 1 else "")
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
    _write_csv(root / "lesions.csv", ("image_id", "kind", "area_px", "area_thumbs", "weight"), lesions)
    _write_csv(
        root / "labels.csv", ("image_id", "label", "fruit_id", "background", "severity", "length_px"), labels
    )  # Last: with it the folder is a data set.


def _write_csv(path: Path, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    write_text(path, text.getvalue())
