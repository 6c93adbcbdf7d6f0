"""Heat maps of a job: one PNG per graded image in a folder of their own, named and numbered as the rows are."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mango_grader import files
from mango_grader.cores import ordered_map
from mango_grader.errors import ImageError, UsageError
from mango_grader.runtime.grading.items import Source, real_path
from mango_grader.runtime.grading.journal import Entry
from mango_grader.runtime.grading.overlay import draw_overlay
from mango_grader.runtime.images.names import is_clutter
from mango_grader.runtime.inference.grader import Grader
from mango_grader.text import one_line

_KEY = "mango-grader heat map"  # of the text in the PNG that tells what it shows
_LONGEST = 150  # bytes of an image's name
_WAIT = 600.0  # seconds, for another process that writes to the same folder


@dataclass(frozen=True)
class Unexplained:
    """A graded image without a heat map.

    Attributes:
        path: as its row shows it.
        reason: why there is none.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Explained:
    """The outcome of explaining.

    Attributes:
        overlays: path of the PNG by the path of the image.
        failed: graded images without one.
    """

    overlays: Mapping[str, str]
    failed: tuple[Unexplained, ...]


def check_explain(folder: str, inputs: Iterable[str]) -> None:
    """Raise `UsageError` unless heat maps can be written to `folder`: one of its own, without `inputs`.

    Args:
        folder: for the heat maps; need not exist.
        inputs: paths of the images to grade.
    """
    if os.path.lexists(folder) and not Path(folder).is_dir():
        raise UsageError(f"--explain {folder} is a file; name a folder")
    home = os.path.join(real_path(folder), "")  # noqa: PTH118
    inside = next((path for path in inputs if real_path(path).startswith(home)), None)
    if inside is None and Path(folder).is_dir():
        inside = next((one.name for one in _visible(Path(folder)) if _told(one) is None), None)
    if inside is not None:
        better = Path(folder, "heat-maps")
        raise UsageError(f"--explain {folder} holds {inside}; name a folder for heat maps alone, such as {better}")


def explain_into(
    folder: str | os.PathLike[str], entries: Iterable[Entry], grader: Grader, workers: int = 1
) -> Explained:
    """Write a PNG for each graded image: number of its row, name of the image; the folder holds nothing else.

    An overlay that is there already and shows the same image and answer stays; of other images, ours are deleted.

    Args:
        folder: for the overlays, see `check_explain`.
        entries: all rows of a journal, in their order.
        grader: that graded them.
        workers: number of threads, 1 or more.

    Raises:
        UsageError: if the model has no heat maps.
        BundleError: if its heat maps are not those of its answers.
    """
    _ = grader.heat_maps  # before anything is written
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    busy = f"another process writes to {home}; wait for it"
    with files.locked(home / ".mango-grader.lock", busy, _WAIT):
        return _explain(_Overlays(home, grader), entries, workers)


def _explain(overlays: "_Overlays", entries: Iterable[Entry], workers: int) -> Explained:
    written, failed = dict[str, str](), []
    graded = ((number, one) for number, one in enumerate(entries, start=1) if one.record.grade is not None)
    for entry, found in ordered_map(overlays.put, graded, workers):
        if isinstance(found, Unexplained):
            failed.append(found)
        else:
            written[entry.record.path] = str(found)
    overlays.keep(set(written.values()))
    return Explained(written, tuple(failed))


class _Overlays:
    """The folder of one job."""

    def __init__(self, home: Path, grader: Grader) -> None:
        self.home, self.grader = home, grader

    def put(self, numbered: tuple[int, Entry]) -> tuple[Entry, Path | Unexplained]:
        """Write the overlay of one graded image, unless it is there."""
        number, entry = numbered
        path, source = entry.record.path, entry.source
        target = self.home / f"{number:06}-{_file_name(path)}.png"
        if source is None:
            return entry, Unexplained(path, "the image came without a file")
        if not Source.of(path).same_content(source):
            return entry, Unexplained(path, "changed since it was graded; add --resume")
        tells = self._tells(entry, source)
        if _told(target) == tells:
            return entry, target
        try:
            self._draw(target, entry, tells)
        except (ImageError, OSError) as error:
            return entry, Unexplained(path, one_line(str(error)))
        return entry, target

    def keep(self, wanted: set[str]) -> None:
        """Delete overlays of ours that none of the rows has any more."""
        for one in list(_visible(self.home)):
            if str(one) not in wanted and _told(one) is not None:
                with suppress(OSError):
                    one.unlink()

    def _tells(self, entry: Entry, source: Source) -> str:
        """Return what the overlay shows, as its PNG says it."""
        record, grader = entry.record, self.grader
        shown = {"image": asdict(source), "grade": record.grade, "exit": record.exit, "confidence": record.confidence}
        return json.dumps({**shown, "model": grader.bundle.digest, "precision": grader.model.precision})

    def _draw(self, target: Path, entry: Entry, tells: str) -> None:
        record, manifest = entry.record, self.grader.manifest
        heat_map = self.grader.explain(record.path, record)
        sure = "" if record.confidence is None else f", {record.confidence:.1%}"
        caption = one_line(f"{record.grade}{sure}, exit {record.exit} of {len(manifest.exits)}")
        overlay = draw_overlay(record.path, manifest.preprocess, heat_map, caption)
        text = PngInfo()
        text.add_text(_KEY, tells)
        with files.replacing(target) as temporary:
            overlay.save(temporary, "PNG", pnginfo=text)


def _visible(folder: Path) -> Iterator[Path]:
    return (one for one in folder.iterdir() if not is_clutter(one.name))


def _told(path: Path) -> str | None:
    """Return what one of our overlays shows; None for any other file."""
    try:
        if path.suffix == ".png" and path.is_file():
            with Image.open(path, formats=["PNG"]) as overlay:
                found = overlay.info.get(_KEY)
                return found if isinstance(found, str) else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass
    return None


def _file_name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122
    safe = "".join(c if c.isprintable() and c not in '\\:*?"<>|' else "_" for c in stem)
    return safe.encode()[:_LONGEST].decode(errors="ignore")
