"""One stage of working with many images, in a process of its own, whose memory is that of the stage alone.

    python -m benchmarks.lib.large_stages STAGE FOLDER

FOLDER is what `write_images` made. What a stage does is first done with few images, so that imports and warm-up do
not count. Prints seconds and memory as JSON. Linux only.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from mango_grader.datasets import Dataset, PackedImages, make_split, pack, read_dataset
from mango_grader.runtime import Preprocess

SIDE, BATCH = 64, 64
SHARD_BYTES = 32 << 20  # an eighth of what runs have, so that 8,000 images are several files
FEW = 60
CLASSES = "ABC"

_STATUS = Path("/proc/self/status")
_EVERY = 0.005  # seconds between two looks at the memory

Action = Callable[[], object]


def write_images(folder: Path, count: int) -> None:
    """Write different small JPEGs into class folders below images/, and labels.csv, which names them and fruit."""
    rng = np.random.default_rng(0)
    rows = ["path,label,fruit"]
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        path = folder / "images" / label / f"{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.append(f"{path.relative_to(folder)},{label},{number // 4}")
        colours = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=80)
        path.write_bytes(buffer.getvalue())
    (folder / "labels.csv").write_text("\n".join(rows))


def _dataset(folder: Path) -> Dataset:
    return read_dataset(folder / "images", "none")


def _listing(folder: Path) -> Action:
    return lambda: _dataset(folder)


def _listing_a_csv(folder: Path) -> Action:
    return lambda: read_dataset(folder / "labels.csv", "fruit")


def _splitting(folder: Path) -> Action:
    dataset = _dataset(folder)
    return lambda: make_split(dataset, seed=0)


def _packed(folder: Path, name: str, shard_bytes: int) -> PackedImages:
    return pack(_dataset(folder), Preprocess(SIDE, SIDE), folder / name, shard_bytes=shard_bytes)


def _packing(folder: Path) -> Action:
    return lambda: _packed(folder, "shards", SHARD_BYTES)


def _recording(folder: Path) -> Action:
    from mango_grader.datasets import Split
    from mango_grader.datasets.cache import fingerprints
    from mango_grader.datasets.record import DataRecord

    dataset, packed = _dataset(folder), _packed(folder, "shards", SHARD_BYTES)
    found = fingerprints(dataset.root, dataset.paths)
    split = make_split(dataset, seed=0, related=np.empty((0, 2), np.int64))

    def record() -> None:
        DataRecord.of(dataset, found, packed).save(folder / "data.json")
        split.save(folder / "split.json", dataset)
        again = DataRecord.load(folder / "data.json").dataset(dataset.root)
        Split.load(folder / "split.json", again)

    return record


def _epoch(folder: Path, name: str, shard_bytes: int) -> Action:
    from mango_grader.training.batches import Batches, Examples

    packed = _packed(folder, name, shard_bytes)
    batches = Batches(Examples(packed.images, packed.labels, np.arange(len(packed.labels))), BATCH, seed=0)

    def epoch() -> None:
        for step in range(batches.per_epoch):
            batches[step]

    epoch()  # so that the file system has read the pixels
    return epoch


def _epoch_of_shards(folder: Path) -> Action:
    return _epoch(folder, "shards", SHARD_BYTES)


def _epoch_of_one_file(folder: Path) -> Action:
    return _epoch(folder, "whole", 1 << 50)


def _inspecting(folder: Path) -> Action:
    from mango_grader.datasets.inspection import inspect_dataset
    from mango_grader.datasets.inspection.page import render_inspection
    from mango_grader.datasets.scan import scan

    def inspect() -> None:
        dataset = _dataset(folder)
        facts = scan(dataset)
        (folder / "inspect.html").write_text(render_inspection(inspect_dataset(dataset, facts), dataset, facts))

    return inspect


STAGES: dict[str, Callable[[Path], Action]] = {
    "listing": _listing,
    "listing a CSV": _listing_a_csv,
    "splitting": _splitting,
    "packing": _packing,
    "recording": _recording,
    "epoch of shards": _epoch_of_shards,
    "epoch of one file": _epoch_of_one_file,
    "inspecting": _inspecting,
}


class _Memory:
    """The most memory that this process has had: all of it, and without pages of files, which the system takes back."""

    def __init__(self) -> None:
        self.anonymous = 0.0

    @property
    def resident(self) -> float:
        """In MB."""
        return _megabytes("VmHWM")

    @contextmanager
    def watched(self) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
        done = threading.Event()
        watching = threading.Thread(target=self._watch, args=(done,))
        watching.start()
        try:
            yield
        finally:
            done.set()
            watching.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(_EVERY):
            self.anonymous = max(self.anonymous, _megabytes("RssAnon"))
        self.anonymous = max(self.anonymous, _megabytes("RssAnon"))


def _megabytes(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    """Run a stage and print its figures."""
    stage, folder = STAGES[sys.argv[1]], Path(sys.argv[2])
    with TemporaryDirectory() as small:
        write_images(Path(small), FEW)
        stage(Path(small))()
    action, memory = stage(folder), _Memory()
    with memory.watched():
        start = time.perf_counter()
        action()
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "resident_mb": memory.resident, "anonymous_mb": memory.anonymous}))


if __name__ == "__main__":
    main()
