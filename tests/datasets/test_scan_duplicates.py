import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from badfiles import make_bad_files, make_odd_files
from photos import photo, write_folders, write_photo
from PIL import Image, ImageEnhance

from mango_grader.datasets import Dataset, Item, read_dataset
from mango_grader.datasets import close_hashes as module
from mango_grader.datasets.duplicates import clusters, exact_duplicates, merge_groups, near_duplicates
from mango_grader.datasets.scan import THUMB, Scan, scan
from mango_grader.files import digest


def test_facts_of_readable_and_unreadable_files(tmp_path: Path) -> None:
    write_photo(tmp_path / "A" / "a.jpg", 1, exif=turned(6))
    write_photo(tmp_path / "A" / "b.png", 2, exif=turned(3))
    write_photo(tmp_path / "A" / "c.jpg", 3)
    (tmp_path / "B").mkdir()
    (tmp_path / "B" / "cut.jpg").write_bytes((tmp_path / "A" / "c.jpg").read_bytes()[:300])
    facts = scan(read_dataset(tmp_path), workers=2)
    assert facts.sizes.tolist() == [[40, 48], [48, 40], [48, 40], [0, 0]]
    assert facts.orientations.tolist() == [6, 3, 1, 0]
    assert facts.readable.tolist() == [True, True, True, False]
    assert list(facts.errors) == [3]
    assert facts.digests[2] == digest((tmp_path / "A" / "c.jpg").read_bytes())
    assert facts.digests[3] == digest((tmp_path / "B" / "cut.jpg").read_bytes())
    expected = photo(2).transpose(Image.Transpose.ROTATE_180).resize((THUMB, THUMB), Image.Resampling.BOX)
    assert np.abs(facts.thumbs[1].astype(int) - np.asarray(expected)).mean() < 8
    assert len(set(facts.hashes[:3].tolist())) == 3


def test_an_orientation_in_xmp_counts_as_decoding_applies_it(tmp_path: Path) -> None:
    tag = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"'
    rdf = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {rdf}><rdf:Description {tag}/></rdf:RDF></x:xmpmeta>'
    write_photo(tmp_path / "A" / "a.jpg", 1, xmp=xmp.encode())
    facts = scan(read_dataset(tmp_path))
    assert facts.orientations.tolist() == [6]
    assert facts.sizes.tolist() == [[40, 48]]


def test_odd_images_are_read_without_a_warning(tmp_path: Path) -> None:
    paths = [Path(path) for path in make_odd_files(tmp_path / "A", np.asarray(photo(1, (60, 50))))]
    items = tuple(Item(path.relative_to(tmp_path).as_posix(), 0, path.name) for path in paths)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facts = scan(Dataset(tmp_path, ("A",), items))
    assert caught == []
    assert facts.errors == {}
    assert [paths[index].name for index in np.flatnonzero(facts.orientations != 1)] == ["turned.jpg"]


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_every_bad_file_gets_a_reason(tmp_path: Path) -> None:
    paths = [Path(path) for path in make_bad_files(tmp_path / "A")]
    items = tuple(Item(path.relative_to(tmp_path).as_posix(), 0, path.name) for path in paths)
    facts = scan(Dataset(tmp_path, ("A",), items))
    assert sorted(facts.errors) == list(range(len(paths)))
    assert all(reason and "\n" not in reason for reason in facts.errors.values())
    assert near_duplicates(facts).pairs.shape == (0, 2)


def test_near_duplicates_survive_what_copies_go_through(tmp_path: Path) -> None:
    original = photo(1, (160, 128))
    folder = tmp_path / "A"
    folder.mkdir()
    original.save(folder / "0.png")
    original.save(folder / "1.jpg", quality=60)
    original.resize((80, 64)).save(folder / "2.png")
    ImageEnhance.Brightness(original).enhance(0.85).save(folder / "3.png")
    original.crop((2, 2, 158, 127)).save(folder / "4.png")
    shutil.copy(folder / "0.png", folder / "5.png")
    for seed in range(6, 40):
        photo(seed, (160, 128)).save(folder / f"{seed:02d}.png")
    facts = scan(read_dataset(tmp_path))
    pairs = near_duplicates(facts).pairs
    names = [path.split("/")[1] for path in read_dataset(tmp_path).paths]
    assert [[names[index] for index in found] for found in clusters(pairs)] == [
        ["0.png", "1.jpg", "2.png", "3.png", "4.png", "5.png"]
    ]
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert [[names[index] for index in found] for found in exact_duplicates(facts)] == [["0.png", "5.png"]]


def test_alike_hashes_alone_are_not_enough() -> None:
    pixels = np.stack([np.full((THUMB, THUMB, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 200, 30))])
    assert len(near_duplicates(facts_of(np.zeros(2, np.uint64), pixels)).pairs) == 0
    assert len(near_duplicates(facts_of(np.zeros(2, np.uint64), pixels[[0, 0]])).pairs) == 1
    assert len(near_duplicates(facts_of(np.array([0, 2**9 - 1], np.uint64), pixels[[0, 0]])).pairs) == 0


def test_blocks_of_the_search_find_what_one_block_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    facts = facts_of(rng.integers(0, 16, 50).astype(np.uint64), np.zeros((50, THUMB, THUMB, 3), np.uint8))
    whole = near_duplicates(facts).pairs
    assert len(whole) == 50 * 49 // 2
    monkeypatch.setattr(module, "_BLOCK", 120)
    assert np.array_equal(near_duplicates(facts).pairs, whole)


def facts_of(hashes: np.ndarray, thumbs: np.ndarray) -> Scan:
    count = len(hashes)
    ones = np.ones(count, np.int64)
    return Scan(tuple(map(str, range(count))), np.ones((count, 2), np.int64), ones, hashes, thumbs, {})


def test_groups_merge_through_chains() -> None:
    groups = ["b", "a", "b", "c", "d", "e"]
    assert merge_groups(groups, np.array([[1, 2], [4, 3]])) == ["a", "a", "a", "c", "c", "e"]
    assert merge_groups(groups, np.empty((0, 2), np.int64)) == groups
    assert clusters(np.array([[4, 2], [9, 4], [1, 3]])) == [(1, 3), (2, 4, 9)]


def test_thread_count_changes_nothing(tmp_path: Path) -> None:
    data = read_dataset(write_folders(tmp_path, {"A": 12, "B": 9}))
    one, many = scan(data, workers=1), scan(data, workers=5)
    assert one.digests == many.digests
    assert np.array_equal(one.hashes, many.hashes)
    assert np.array_equal(one.thumbs, many.thumbs)
