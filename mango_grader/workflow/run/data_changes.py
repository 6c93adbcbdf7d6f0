"""How a run's data have changed since the run recorded them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mango_grader.datasets import Dataset, PackedImages, pack, read_dataset
from mango_grader.datasets.cache import Fingerprint, fingerprints, packed_as
from mango_grader.datasets.reading.files import TABLE_SUFFIXES
from mango_grader.datasets.record import DataChanges, DataRecord
from mango_grader.errors import UsageError
from mango_grader.progress import Progress
from mango_grader.runtime import Preprocess
from mango_grader.workflow.config import DataConfig

UNRECORDED = "the run is of an older version and kept no record of its data: whether they changed cannot be checked"


@dataclass(frozen=True)
class DataNow:
    """The data as they are now, beside a record of them.

    Attributes:
        record: of the data as they were.
        changes: since the record.
        found: fingerprint by path of every image that is recorded or there.
    """

    record: DataRecord
    changes: DataChanges
    found: Mapping[str, Fingerprint]


def data_root(path: str) -> Path:
    """Return the folder that paths of images are relative to.

    Args:
        path: of the data: that folder, or a CSV in it.
    """
    where = Path(path)
    is_table = where.is_file() or (where.suffix.lower() in TABLE_SUFFIXES and not where.is_dir())
    return where.parent if is_table else where


def inspect_data(record: DataRecord, config: DataConfig, progress: Progress) -> DataNow | None:
    """Read every image's bytes and label again and compare them with the record; None if the folder is gone.

    Args:
        record: of the data as they were.
        config: where the data are, and how they are grouped.
        progress: of the reading.

    Raises:
        UsageError: what is there cannot be read as labelled images.
    """
    root = data_root(config.path)
    if not root.is_dir():
        return None
    try:
        now = read_dataset(config.path, config.group_by, config.ordinal, config.labels)
    except UsageError as error:
        raise UsageError(f"the data in {config.path} are not what the run began with: {error}") from error
    return compare_data(record, now, progress)


def compare_data(record: DataRecord, now: Dataset, progress: Progress) -> DataNow:
    """Read every image's bytes again, and compare bytes and labels with the record.

    Args:
        record: of the data as they were.
        now: the labelled images that are there.
        progress: of the reading.
    """
    paths = sorted({*now.paths, *(each.path for each in record.images)})
    found = dict(zip(paths, fingerprints(now.root, paths, progress), strict=True))
    return DataNow(record, record.changes(now, found), found)


def require_same(now: DataNow, what: str, run: Path, progress: Progress) -> None:
    """Report harmless changes, and refuse others.

    Args:
        now: the data beside their record.
        what: how messages call the data.
        run: the run folder.
        progress: told of changes that do not matter.

    Raises:
        UsageError: images or labels of the record have changed.
    """
    if now.changes.matters:
        raise UsageError(
            f"{what} are not what {run} began with: {now.changes}; restore them, or start a new run without --resume"
        )
    if now.changes:
        progress.note(
            f"{what} have changed since the run began: {now.changes}; it continues with the data that it began with"
        )


def packed_again(
    now: DataNow, root: Path, preprocess: Preprocess, cache: Path, progress: Progress
) -> tuple[Dataset, PackedImages]:
    """Return the recorded data, with pixels from the cache, or decoded again where that is not whole.

    Args:
        now: the data beside their record.
        root: the folder that they are in now.
        preprocess: how images are fitted.
        cache: folder of decoded images.
        progress: of the decoding.
    """
    dataset = now.record.dataset(root)
    packed = packed_as(dataset, preprocess, cache, now.record.pixels)
    if packed is None:
        packed = pack(dataset, preprocess, cache, progress, known=[now.found[path] for path in dataset.paths])
        if packed.digest != now.record.pixels:
            progress.note("data: the installed libraries may decode the images slightly differently than those before")
    return dataset, packed


def describe_changes(record: DataRecord, config: DataConfig, progress: Progress) -> str | None:
    """Return in one line what has changed in the data since the record; None if nothing has.

    Args:
        record: of the data.
        config: where they are, and how they are grouped.
        progress: of the reading.
    """
    try:
        now = inspect_data(record, config, progress)
    except UsageError as error:
        return str(error)
    if now is None:
        return f"the images are no longer at {config.path}: whether they changed cannot be checked"
    return f"changed since the run: {now.changes}" if now.changes else None
