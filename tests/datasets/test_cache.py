import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from deepfiles import png
from heic import HEIC
from photos import write_folders, write_photo
from PIL import Image

from mango_grader.datasets import Dataset, PackedImages, pack, read_dataset
from mango_grader.errors import ImageError, MangoError, UsageError
from mango_grader.runtime.images.preprocess import ImageSource, Prepared, Preprocess

FIT = Preprocess(20, 24)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    write_folders(tmp_path / "data", {"A": 5, "B": 4})
    (tmp_path / "data" / "A" / "0003x.jpg").write_bytes(b"not an image")
    return read_dataset(tmp_path / "data")


def check(packed: PackedImages, data: Dataset) -> None:
    assert packed.images.shape == (9, FIT.height, FIT.width, 3)
    for row, path in enumerate(packed.paths):
        assert np.array_equal(packed.images[row], FIT(data.root / path))


def built_at(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_rows_are_the_readable_images_in_order(data: Dataset, tmp_path: Path) -> None:
    packed = pack(data, FIT, tmp_path / "cache")
    check(packed, data)
    assert packed.errors == {"A/0003x.jpg": "not an image in a known format"}
    assert packed.index.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert packed.labels.tolist() == [0] * 5 + [1] * 4
    assert packed.groups == packed.paths
    assert packed.rows([9, 3, 0]).tolist() == [8, 0]
    assert isinstance(packed.images, np.memmap)
    assert not packed.images.flags.writeable


def test_reused_for_the_same_content_whatever_the_labels(data: Dataset, tmp_path: Path) -> None:
    first = pack(data, FIT, tmp_path / "cache", workers=1)
    before = built_at(tmp_path / "cache")
    (data.root / "B").rename(data.root / "C")
    moved = read_dataset(data.root)
    again = pack(moved, FIT, tmp_path / "cache", workers=3)
    assert built_at(tmp_path / "cache") == before
    assert again.digest == first.digest
    assert again.paths[-1].startswith("C/")
    check(again, moved)


def test_other_content_or_preprocessing_is_another_cache(data: Dataset, tmp_path: Path) -> None:
    keys = {pack(data, FIT, tmp_path / "cache").digest}
    path = data.root / data.paths[0]
    stamp = path.stat()
    write_photo(path, 99)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    changed = pack(data, FIT, tmp_path / "cache")
    keys.add(changed.digest)
    check(changed, data)
    keys.add(pack(data, Preprocess(20, 24, rotate_portrait=True), tmp_path / "cache").digest)
    keys.add(pack(Dataset(data.root, data.classes, data.items[::-1]), FIT, tmp_path / "cache").digest)
    assert len(keys) == 4


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "no pixels", "no facts", "bad facts", "odd facts"])
def test_a_damaged_cache_is_built_anew(data: Dataset, tmp_path: Path, damage: str) -> None:
    key = pack(data, FIT, tmp_path / "cache").digest
    pixels, facts = tmp_path / "cache" / f"{key}.u8", tmp_path / "cache" / f"{key}.json"
    content = bytearray(pixels.read_bytes())
    if damage == "flip":
        content[100] ^= 1
        pixels.write_bytes(content)
    elif damage == "cut":
        pixels.write_bytes(content[:-1])
    elif damage == "grow":
        pixels.write_bytes(content + b"\0")
    elif damage == "no pixels":
        pixels.unlink()
    elif damage == "no facts":
        facts.unlink()
    else:
        facts.write_text("{" if damage == "bad facts" else "[]")
    check(pack(data, FIT, tmp_path / "cache"), data)
    assert json.loads(facts.read_text())["rows"] == 9


_BUILD = """
import sys, time
from mango_grader.datasets import pack, read_dataset
from mango_grader.runtime.images.preprocess import Preprocess

class Slow(Preprocess):
    def prepare(self, source):
        print("decoding", flush=True)
        time.sleep(float(sys.argv[3]))
        return super().prepare(source)

print(pack(read_dataset(sys.argv[1]), Slow(20, 24), sys.argv[2], workers=1).digest)
"""


def build(data: Dataset, folder: Path, pause: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", _BUILD, str(data.root), str(folder), str(pause)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_killed_build_leaves_no_half_cache(data: Dataset, tmp_path: Path) -> None:
    with build(data, tmp_path / "cache", 0.2) as process:
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline() == "decoding\n"
        process.send_signal(signal.SIGKILL)
    (part,) = (tmp_path / "cache").iterdir()
    assert part.name.startswith(".")
    packed = pack(data, FIT, tmp_path / "cache")
    check(packed, data)
    assert part.exists(), "another process may still be writing a file this young"
    os.utime(part, (time.time() - 90_000,) * 2)
    (tmp_path / "cache" / f"{packed.digest}.json").unlink()
    check(pack(data, FIT, tmp_path / "cache"), data)
    assert not part.exists()


def test_builders_at_the_same_time_agree(data: Dataset, tmp_path: Path) -> None:
    processes = [build(data, tmp_path / "cache", 0.05) for _ in range(3)]
    outputs = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    packed = pack(data, FIT, tmp_path / "cache")
    assert {output.split()[-1] for output in outputs} == {packed.digest}
    check(packed, data)
    assert len(list((tmp_path / "cache").iterdir())) == 2


class _Meddling(Preprocess):
    """Changes the next file while one is being decoded."""

    def prepare(self, source: ImageSource, *, exact: bool = False) -> Prepared:
        _Meddling.victim.write_bytes(b"changed")
        return super().prepare(source, exact=exact)

    victim: Path


def test_a_file_that_changes_meanwhile_is_an_error(data: Dataset, tmp_path: Path) -> None:
    _Meddling.victim = data.root / data.paths[-1]
    with pytest.raises(MangoError, match="changed while it was being read"):
        pack(data, _Meddling(20, 24), tmp_path / "cache", workers=1)
    assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_readable_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "data" / "A").mkdir(parents=True)
    (tmp_path / "data" / "A" / "x.jpg").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(UsageError, match="none of the 1 images"):
            pack(read_dataset(tmp_path / "data"), FIT, tmp_path / "cache")


def test_vanished_and_odd_files_are_errors_of_their_rows(data: Dataset, tmp_path: Path) -> None:
    (data.root / data.paths[0]).unlink()
    path = data.root / data.paths[1]
    path.unlink()
    os.mkfifo(path)
    packed = pack(data, FIT, tmp_path / "cache")
    assert packed.errors[data.paths[0]] == "no such file"
    assert packed.errors[data.paths[1]] == "not a regular file"
    assert len(packed.images) == 7


def test_deep_images_are_packed_as_they_are_graded(tmp_path: Path) -> None:
    write_folders(tmp_path / "set", {"A": 2, "B": 2})
    ramp = np.linspace(0, 1, 24 * 32).reshape(24, 32)
    declared, unknown = tmp_path / "set/A/declared.png", tmp_path / "set/A/unknown.png"
    declared.write_bytes(png((ramp * 1023).astype(np.uint16), 10))
    unknown.write_bytes(png((ramp * 1023).astype(np.uint16)))
    preprocess = Preprocess(16, 16)
    packed = pack(read_dataset(tmp_path / "set"), preprocess, tmp_path / "cache")
    row = packed.paths.index("A/declared.png")
    assert np.array_equal(packed.images[row], preprocess(declared))
    assert packed.images[row].max() > 240
    with pytest.raises(ImageError) as refused:
        preprocess(unknown)
    assert packed.errors == {"A/unknown.png": str(refused.value)}


def test_heic_photos_are_packed_once_their_reader_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pi_heif")
    write_folders(tmp_path / "set", {"A": 2, "B": 2})
    (tmp_path / "set/A/phone.heic").write_bytes(HEIC)
    data = read_dataset(tmp_path / "set")
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, "pi_heif", None)
        errors = pack(data, FIT, tmp_path / "cache").errors
    assert errors == {"A/phone.heic": "a HEIC image; run: pip install 'mango-grader[heic]', or convert it to JPEG"}
    assert pack(data, FIT, tmp_path / "cache").errors == {}


def test_warnings_are_kept_with_the_pixels(tmp_path: Path) -> None:
    write_folders(tmp_path / "set", {"A": 2, "B": 2})
    Image.new("RGB", (24, 32), (3, 3, 3)).save(tmp_path / "set/B/covered.png")
    for _ in range(2):
        packed = pack(read_dataset(tmp_path / "set"), FIT, tmp_path / "cache")
        assert list(packed.warnings) == ["B/covered.png"]
        assert packed.warnings["B/covered.png"].startswith("practically one colour")
