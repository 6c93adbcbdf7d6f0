"""The packed cache of a large data set: several files, built piece by piece, read as one array."""

import io
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from photos import write_folders
from PIL import Image

from mango_grader.datasets import Dataset, PackedImages, pack, read_dataset
from mango_grader.datasets.cache import fingerprints, link_packed, packed_as
from mango_grader.datasets.shards import ShardedImages
from mango_grader.progress import LineProgress
from mango_grader.runtime.images.preprocess import ImageSource, Prepared, Preprocess
from mango_grader.training.batches import Batches, Examples

FIT = Preprocess(20, 24)
ROW = 20 * 24 * 3  # bytes of an image
SHARD = 4 * ROW  # so that the 18 images of `data` lie in 5 files


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Sixteen photos, an unreadable file and a photo that shows nothing."""
    write_folders(tmp_path / "data", {"A": 9, "B": 7})
    (tmp_path / "data" / "A" / "0003x.jpg").write_bytes(b"not an image")
    Image.new("RGB", (24, 32), (3, 3, 3)).save(tmp_path / "data" / "B" / "covered.png")
    return read_dataset(tmp_path / "data")


class Counting(Preprocess):
    """Counts how many images it decodes."""

    decoded: ClassVar[int]

    def prepare(self, source: ImageSource, *, exact: bool = False) -> Prepared:
        Counting.decoded += 1
        return super().prepare(source, exact=exact)


@pytest.fixture(autouse=True)
def none_decoded() -> None:
    Counting.decoded = 0


def pixels(folder: Path) -> list[str]:
    """Return the places of the pixel files, such as 0000-of-0005."""
    return sorted(path.stem[65:] for path in folder.glob("*.u8"))


def check_same(packed: PackedImages, whole: PackedImages) -> None:
    assert np.array_equal(np.asarray(packed.images), whole.images)
    assert packed.digest == whole.digest
    assert packed.errors == whole.errors == {"A/0003x.jpg": "not an image in a known format"}
    assert packed.warnings == whole.warnings
    assert list(packed.warnings) == ["B/covered.png"]
    assert packed.paths == whole.paths
    assert np.array_equal(packed.index, whole.index)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("images", [1, 2, 4, 7, 17])
def test_batches_are_the_same_whatever_the_size_of_shards_and_the_number_of_threads(
    images: int, workers: int, data: Dataset, tmp_path: Path
) -> None:
    whole = pack(data, FIT, tmp_path / "whole", workers=1)
    packed = pack(data, FIT, tmp_path / "shards", workers=workers, shard_bytes=images * ROW)
    count = -(-18 // images)
    assert pixels(tmp_path / "shards") == [f"{number:04}-of-{count:04}" for number in range(count)]
    check_same(packed, whole)
    one, several = (
        Batches(Examples(each.images, each.labels, np.arange(1, 17)), 5, seed=3) for each in (whole, packed)
    )
    for step in range(7):
        assert np.array_equal(one[step].images, several[step].images)
        assert np.array_equal(one[step].labels, several[step].labels)


def test_a_small_data_set_is_one_file_mapped_as_it_is(data: Dataset, tmp_path: Path) -> None:
    packed = pack(data, FIT, tmp_path / "cache")
    assert isinstance(packed.images, np.memmap)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        f"{packed.digest}.json",
        f"{packed.digest}.u8",
    ]


def test_a_cache_of_an_earlier_version_is_read_however_large_it_is(data: Dataset, tmp_path: Path) -> None:
    whole = pack(data, FIT, tmp_path / "cache")
    before = sorted((tmp_path / "cache").iterdir())
    again = pack(data, Counting(20, 24), tmp_path / "cache", shard_bytes=SHARD)
    assert isinstance(again.images, np.memmap)
    assert (Counting.decoded, sorted((tmp_path / "cache").iterdir())) == (0, before)
    check_same(again, whole)


def test_shards_are_found_without_knowing_how_many_there_are(data: Dataset, tmp_path: Path) -> None:
    whole = pack(data, FIT, tmp_path / "whole")
    assert packed_as(data, FIT, tmp_path / "cache", whole.digest) is None
    pack(data, FIT, tmp_path / "cache", shard_bytes=SHARD)
    found = packed_as(data, FIT, tmp_path / "cache", whole.digest)
    assert found is not None
    check_same(found, whole)
    next((tmp_path / "cache").glob("*-0002-of-0005.u8")).unlink()
    assert packed_as(data, FIT, tmp_path / "cache", whole.digest) is None


_BUILD = """
import sys, time
from mango_grader.datasets import pack, read_dataset
from mango_grader.runtime.images.preprocess import Preprocess

class Stalling(Preprocess):
    def prepare(self, source):
        print("decoding", flush=True)
        seen.append(source)
        if len(seen) == int(sys.argv[4]):
            time.sleep(600)
        return super().prepare(source)

seen = []
pack(read_dataset(sys.argv[1]), Stalling(20, 24), sys.argv[2], workers=1, shard_bytes=int(sys.argv[3]))
"""


@pytest.mark.parametrize(("seen", "kept"), [(2, 0), (9, 2), (17, 4)])
def test_a_killed_build_goes_on_with_its_whole_shards(seen: int, kept: int, data: Dataset, tmp_path: Path) -> None:
    """Of 5 shards: 3, 4, 3, 4 and 4 images."""
    arguments = [sys.executable, "-c", _BUILD, str(data.root), str(tmp_path / "cache"), str(SHARD), str(seen)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(seen):
            assert process.stdout.readline() == "decoding\n"
        process.send_signal(signal.SIGKILL)
    assert pixels(tmp_path / "cache") == [f"{number:04}-of-0005" for number in range(kept)]
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*-of-*")}
    assert len(times) == 2 * kept
    said = io.StringIO()
    packed = pack(data, Counting(20, 24), tmp_path / "cache", LineProgress(said, every=0), shard_bytes=SHARD)
    check_same(packed, pack(data, FIT, tmp_path / "whole"))
    left = 18 - [0, 3, 7, 10, 14][kept]
    assert Counting.decoded == left
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert f"decoding {left} images into {tmp_path / 'cache'} (5 files): 0.0 GB, " in said.getvalue()
    assert f"decoding images: {18 - left + 1}/18" in said.getvalue()


def test_the_same_pixels_elsewhere_are_linked_not_decoded(data: Dataset, tmp_path: Path) -> None:
    found = fingerprints(data.root, data.paths)
    one, two = tmp_path / "one" / "cache", tmp_path / "two" / "cache"
    whole = pack(data, FIT, tmp_path / "whole")
    pack(data, FIT, one, shard_bytes=SHARD)
    pack(data, Preprocess(16, 16), one)
    next(one.glob("*-0002-of-0005.u8")).unlink()  # as while another run still decodes it
    link_packed(found, FIT, two, [tmp_path / "gone", one])
    packed = pack(data, Counting(20, 24), two, known=found, shard_bytes=SHARD)
    check_same(packed, whole)
    assert Counting.decoded == 3
    shared = {path.name for path in two.iterdir() if path.stat().st_nlink == 2}
    assert len(list(two.iterdir())) == 10
    assert shared == {path.name for path in two.iterdir() if "-0002-of-" not in path.name}
    link_packed(found, FIT, two, [one])
    shutil.rmtree(one)
    check_same(pack(data, FIT, two, known=found), whole)


@pytest.mark.parametrize("harm", ["flip", "cut", "no pixels", "no facts", "bad facts", "other facts"])
def test_a_damaged_shard_is_found_and_built_anew(harm: str, data: Dataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pack(data, FIT, cache, shard_bytes=SHARD)
    shard, facts = (next(cache.glob(f"*-0003-of-0005.{ending}")) for ending in ("u8", "json"))
    content = bytearray(shard.read_bytes())
    if harm == "flip":
        content[100] ^= 1
        shard.write_bytes(content)
    elif harm == "cut":
        shard.write_bytes(content[:-1])
    elif harm == "no pixels":
        shard.unlink()
    elif harm == "no facts":
        facts.unlink()
    elif harm == "bad facts":
        facts.write_text("{")
    else:
        facts.write_bytes(next(cache.glob("*-0000-of-0005.json")).read_bytes())
    others = {path: path.stat().st_mtime_ns for path in cache.iterdir() if path not in (shard, facts)}
    packed = pack(data, Counting(20, 24), cache, shard_bytes=SHARD)
    assert Counting.decoded == 4
    check_same(packed, pack(data, FIT, tmp_path / "whole"))
    assert {path: path.stat().st_mtime_ns for path in others} == others


def test_a_shard_without_a_readable_image_is_no_gap(data: Dataset, tmp_path: Path) -> None:
    for path in data.paths[4:9]:
        (data.root / path).write_bytes(b"")
    packed = pack(data, FIT, tmp_path / "cache", shard_bytes=ROW)
    assert packed.images.shape[0] == 18 - 1 - 5
    for row, path in enumerate(packed.paths):
        assert np.array_equal(packed.images[row], FIT(data.root / path))


def test_decoded_images_do_not_pile_up_in_memory(data: Dataset, tmp_path: Path) -> None:
    preprocess = Preprocess(512, 512)  # 0.8 MB each
    pack(data, preprocess, tmp_path / "first", shard_bytes=4 << 20)  # imports what decoding needs
    tracemalloc.start()
    pack(data, preprocess, tmp_path / "cache", workers=1, shard_bytes=4 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all of them are 14 MB


def test_rows_of_several_arrays_are_those_of_one() -> None:
    whole = np.random.default_rng(0).integers(0, 256, (11, 2, 3, 3), dtype=np.uint8)
    images = ShardedImages([whole[:4], whole[4:5], whole[5:]])
    assert (images.shape, len(images), images.nbytes) == (whole.shape, 11, whole.nbytes)
    for rows in (np.array([10, 0, 4, 4, 3, 5]), np.empty(0, np.int64), slice(3, 9), slice(None), slice(8, 2, -2)):
        assert np.array_equal(images[rows], whole[rows])
    for row in (0, 4, np.int64(10)):
        assert np.array_equal(images[row], whole[row])
    assert np.array_equal(np.asarray(images), whole)
    asked = images[np.array([1, 2])]
    asked[:] = 0
    assert whole[1].any(), "a batch is a copy"
    for rows in (np.array([0, 11]), np.array([-1]), np.ones(11, bool), 11, -1):
        with pytest.raises(IndexError, match="rows of 11 images"):
            images[rows]
