"""Bundles whose ZIP, manifest or arrays were made to do harm: one line, soon, without the memory that they ask for."""

import json
import struct
import zipfile
from pathlib import Path

import pytest
from bundles import change_bundle
from hostile import Parts, refused
from PIL import Image

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.archive import CARD, MANIFEST
from mango_grader.runtime.inference.grader import Grader

pytestmark = [pytest.mark.usefixtures("harmless"), pytest.mark.filterwarnings("ignore:Duplicate name")]


def write_zip(path: Path, parts: list[tuple[str, bytes]], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[call-overload]
        for name, data in parts:
            archive.writestr(name, data)
    return path


def read_zip(path: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def entry_of(data: bytes | bytearray, name: bytes) -> int:
    """Return where the directory's entry of one part begins."""
    place = data.index(b"PK\x01\x02")
    while data[place + 46 : place + 46 + int.from_bytes(data[place + 28 : place + 30], "little")] != name:
        place = data.index(b"PK\x01\x02", place + 4)
    return place


def test_a_zip_bomb(own: Path) -> None:
    write_zip(own, [*read_zip(own), ("bomb", bytes(1 << 28))], compression=zipfile.ZIP_DEFLATED)
    assert own.stat().st_size < 1 << 20
    assert "a part is compressed" in refused(own)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "C:\\evil", "a/../../evil", "stage0.onnx/"])
def test_a_part_outside(own: Path, name: str) -> None:
    write_zip(own, [*read_zip(own), (name, b"evil")])
    assert "its parts are not those that its manifest names" in refused(own)
    assert not list(own.parent.rglob("evil"))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "a/", ".", "a\\b", "a\x00b"])
def test_a_manifest_that_names_a_part_outside(own: Path, name: str) -> None:
    def rename(parts: Parts) -> None:
        values = json.loads(parts[MANIFEST])
        values["full"] = name
        values["hashes"][name] = values["hashes"].pop("full.onnx")
        parts[MANIFEST] = json.dumps(values).encode()
        parts[name] = parts.pop("full.onnx")

    assert "manifest.json" in refused(change_bundle(own, rename, rehash=False))


@pytest.mark.parametrize("name", [CARD, MANIFEST, "stage0.onnx"])
def test_a_part_twice(own: Path, name: str) -> None:
    write_zip(own, [*read_zip(own), (name, b"other")])
    assert "a part twice" in refused(own)


def test_parts_that_overlap(own: Path) -> None:
    """Two entries of the directory share the same bytes, so that a small file lists much data."""
    data = bytearray(own.read_bytes())
    first, second = (entry_of(data, name) for name in (b"full.onnx", b"stage0.onnx"))
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    own.write_bytes(data)
    assert "damaged" in refused(own)


def test_a_zip64_that_lies_about_sizes(own: Path) -> None:
    data = own.read_bytes()
    body, end = data[:-22], data[-22:]
    size, start = struct.unpack("<LL", end[12:20])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body), 1)
    own.write_bytes(body + record + locator + end)
    assert "no ZIP of less than 4 GiB" in refused(own)


def test_a_zip64_size_of_one_part_that_lies(own: Path) -> None:
    parts = read_zip(own)
    with zipfile.ZipFile(own, "w") as archive:
        for name, content in parts:
            with archive.open(name, "w", force_zip64=True) as part:
                part.write(content)
    data = bytearray(own.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = b"\xff" * 8  # The sizes stand in an extra field, which is not there.
    own.write_bytes(data)
    assert "not a .mango model" in refused(own)


def test_a_directory_of_a_hundred_thousand_parts(own: Path) -> None:
    parts = read_zip(own)
    write_zip(own, [*parts, *((f"part{number}", b"") for number in range(100_000))])
    assert "no ZIP of less than 4 GiB" in refused(own) or "it lists too many parts" in refused(own)
    write_zip(own, [*parts, *((f"part{number}", b"") for number in range(60_000))])
    assert "it lists too many parts" in refused(own)


def test_a_comment_that_holds_another_zip(own: Path) -> None:
    own.write_bytes(own.read_bytes()[:-2] + struct.pack("<H", 5000) + bytes(5000))
    assert "without a comment" in refused(own)


def test_a_part_that_is_encrypted(own: Path) -> None:
    data = bytearray(own.read_bytes())
    data[entry_of(data, b"stage0.onnx") + 8] |= 1
    own.write_bytes(data)
    assert "stage0.onnx cannot be read" in refused(own)


@pytest.mark.parametrize("name", ["stage0.onnx", "full.onnx", "golden/images.npy", CARD])
def test_a_part_that_is_missing(own: Path, name: str) -> None:
    write_zip(own, [part for part in read_zip(own) if part[0] != name])
    assert "its parts are not those that its manifest names" in refused(own)


def test_a_stage_that_is_missing_from_the_manifest(own: Path) -> None:
    def shorten(parts: Parts) -> None:
        values = json.loads(parts[MANIFEST])
        del values["stages"]["fp32"][0]
        parts[MANIFEST] = json.dumps(values).encode()

    assert "needs 2 stages" in refused(change_bundle(own, shorten, rehash=False))


@pytest.mark.parametrize("rule", ["cost:/etc/passwd", "cost:prices.csv", "cost:../x.json", "cost:C:\\x.csv", "cost:"])
def test_a_default_decision_rule_that_would_read_a_file_here(own: Path, rule: str) -> None:
    def name_a_file(parts: Parts) -> None:
        values = json.loads(parts[MANIFEST])
        values["default_decide"] = rule
        parts[MANIFEST] = json.dumps(values).encode()

    assert "but no file" in refused(change_bundle(own, name_a_file, rehash=False))


def test_an_original_that_becomes_a_huge_image(own: Path, tmp_path: Path) -> None:
    Image.new("1", (11_000, 11_000)).save(tmp_path / "flat.png")
    bomb = (tmp_path / "flat.png").read_bytes()
    assert len(bomb) < 1 << 16
    change_bundle(own, lambda parts: parts.update({"encoded/small.png": bomb}))
    with pytest.raises(BundleError, match=r"small\.png has more than 4194304 pixels"):
        Grader.load(own, "cpu")


def test_an_array_of_a_huge_declared_size(own: Path) -> None:
    def change(parts: Parts) -> None:
        data = parts["golden/images.npy"]
        padded = b"(3, 12, 16, 3), }" + b" " * 8
        assert padded in data
        parts["golden/images.npy"] = data.replace(padded, b"(999999999, 12, 16, 3), }")

    change_bundle(own, change)
    with pytest.raises(BundleError, match=r"golden/images\.npy does not hold the values that its shape"):
        Grader.load(own, "cpu")
