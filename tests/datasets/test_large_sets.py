"""What grows with the number of images is bounded, and said where it leaves something out."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import photo, write_folders

from mango_grader.cli import main
from mango_grader.datasets import Dataset, duplicates, make_split, probe, read_dataset, same_fruit
from mango_grader.datasets import scan as scanning
from mango_grader.datasets.duplicates import clusters, near_duplicates
from mango_grader.datasets.inspection import inspect_folder
from mango_grader.datasets.inspection.checks import Shortcut
from mango_grader.datasets.inspection.fruit import SameFruit
from mango_grader.datasets.scan import THUMB, Scan, joined, scan
from mango_grader.progress import SilentProgress
from mango_grader.workflow.answering import graded_images

NOT_LOOKED_FOR = "photos of the same fruit were not looked for: 24 images are more than 20"


class Notes(SilentProgress):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str, **figures: object) -> None:
        self.lines.append(message)


@pytest.fixture
def fruit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty-four photos, which are too many to look for photos of the same fruit."""
    monkeypatch.setattr(same_fruit, "MOST_IMAGES", 20)
    return write_folders(tmp_path / "data", {"A": 12, "B": 12})


def test_a_search_for_the_same_fruit_that_is_skipped_is_said(fruit: Path, tmp_path: Path) -> None:
    seen = inspect_folder(fruit)
    advice = f"{NOT_LOOKED_FOR}; pass --group-by, or related images may lie in several parts"
    assert seen.findings == (advice,)
    assert seen.check(SameFruit).to_dict()["skipped"] == (advice,)
    assert advice in make_split(read_dataset(fruit), 0).findings
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(main, ["data", "inspect", str(fruit), "--out", str(page), "--strict"])
    assert shown.exit_code == 3
    assert f"finding: {NOT_LOOKED_FOR}" in shown.output.replace("\n", " ")
    assert NOT_LOOKED_FOR in page.read_text(encoding="utf-8")


def test_where_groups_are_given_it_is_a_note(fruit: Path) -> None:
    seen = inspect_folder(fruit, r"re:^\d+")
    assert seen.findings == ()
    assert any(line.startswith(NOT_LOOKED_FOR) for line in seen.notes)
    assert make_split(read_dataset(fruit, r"re:^\d+"), 0).findings == ()
    assert inspect_folder(fruit, "none").notes == ()


def test_as_many_as_can_be_compared_are_compared(fruit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_fruit, "MOST_IMAGES", 24)
    assert inspect_folder(fruit).findings == ()


def test_an_evaluation_says_what_its_intervals_do_not_know(fruit: Path) -> None:
    said = Notes()
    graded_images(read_dataset(fruit), None, said)
    assert any(NOT_LOOKED_FOR in line for line in said.lines)


def alike(*counts: int) -> Scan:
    """Facts of sets of images that show the same; all have the same perceptual hash."""
    thumbs = np.concatenate(
        [np.repeat(np.asarray(photo(seed, (THUMB, THUMB)))[None], count, axis=0) for seed, count in enumerate(counts)]
    )
    order = np.random.default_rng(0).permutation(len(thumbs))
    ones = np.ones(len(thumbs), np.int64)
    digests = tuple(map(str, range(len(thumbs))))
    return Scan(digests, np.ones((len(thumbs), 2), np.int64), ones, np.zeros(len(thumbs), np.uint64), thumbs[order], {})


def test_many_near_duplicates_are_held_as_what_connects_them(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = alike(70, 50, 1, 1)
    every = near_duplicates(facts).pairs
    assert len(every) == 70 * 69 // 2 + 50 * 49 // 2
    monkeypatch.setattr(duplicates, "MANY_PAIRS", 300)
    found = near_duplicates(facts)
    assert found.skipped is None
    assert len(found.pairs) < 700
    assert clusters(found.pairs) == clusters(every)


def test_a_comparison_that_ends_early_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 100)
    found = near_duplicates(alike(30, 30))
    assert found.skipped == "near-duplicates: 60 images are too alike to compare more than 100 pairs of them"
    assert near_duplicates(alike(10)).skipped is None


@pytest.fixture
def photos(tmp_path: Path) -> Dataset:
    write_folders(tmp_path / "data", {"A": 30, "B": 31})
    (tmp_path / "data" / "A" / "0003x.jpg").write_bytes(b"not an image")
    return read_dataset(tmp_path / "data", "none")


def test_thumbnails_in_a_file_are_those_in_memory(photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    here = scan(photos)
    monkeypatch.setattr(scanning, "IN_MEMORY", 10)
    there = scan(photos)
    assert isinstance(there.thumbs, np.memmap)
    assert not isinstance(here.thumbs, np.memmap)
    for facts in (here, there):
        assert not facts.thumbs.flags.writeable
    both = joined(here, there)
    assert np.array_equal(here.thumbs, there.thumbs)
    assert np.array_equal(both.thumbs, np.concatenate([here.thumbs, there.thumbs]))
    assert both.digests == here.digests + there.digests
    assert list(both.errors) == [3, 65]


def test_what_a_scan_holds_of_each_image_is_small(photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "IN_MEMORY", 10)
    scan(photos)  # imports what decoding needs
    half = replace(photos, items=photos.items[:31])

    def taken(dataset: Dataset) -> tuple[int, int]:
        """Return the bytes that a scan holds, and the most that it held meanwhile."""
        tracemalloc.start()
        facts = scan(dataset, workers=1)
        found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(facts.digests) == len(dataset.items)
        return found

    for whole, part in zip(taken(photos), taken(half), strict=True):
        assert whole - part < 31 * 500


def test_the_probe_of_many_images_looks_at_some(photos: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inspect_folder(photos.root).check(Shortcut).probe
    assert whole is not None
    assert whole.images is None
    monkeypatch.setattr(probe, "PROBED", 40)
    seen = inspect_folder(photos.root)
    found = seen.check(Shortcut).probe
    assert found is not None
    assert (found.images, found.groups) == (40, 40)
    assert "the shortcut probe looked at 40 images, drawn at random" in seen.notes
    assert inspect_folder(photos.root, seed=1).check(Shortcut).probe != found


def test_every_image_is_as_likely_to_be_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBED", 10)
    assert probe.drawn(10, 0).tolist() == list(range(10))
    draws = [probe.drawn(40, seed) for seed in range(400)]
    assert all(len(set(draw.tolist())) == 10 and (np.diff(draw) > 0).all() for draw in draws)
    times = np.bincount(np.concatenate(draws), minlength=40)
    assert abs(times - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)
