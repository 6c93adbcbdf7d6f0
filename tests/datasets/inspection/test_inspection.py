import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from deepfiles import png
from fruit_scenes import write_spotted
from pages import Page, check_fits_a_phone
from photos import photo, write_folders, write_photo
from PIL import Image

from mango_grader.datasets import read_dataset
from mango_grader.datasets.inspection import inspect_dataset, inspect_folder
from mango_grader.datasets.inspection.check import Check, Evidence, Gallery
from mango_grader.datasets.inspection.checks import Duplicates, Orientation, Shortcut, Unusable
from mango_grader.datasets.inspection.fruit import SameFruit
from mango_grader.datasets.inspection.page import render_inspection
from mango_grader.datasets.scan import scan


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """Photos with one of everything that an inspection should report."""
    write_folders(tmp_path, {"train/A": 40, "train/B": 9, "val/A": 6, "val/B": 3})
    shutil.copy(tmp_path / "train/A/0001.png", tmp_path / "train/A/copy.png")
    shutil.copy(tmp_path / "train/A/0002.png", tmp_path / "train/B/copy.png")
    write_photo(tmp_path / "val/A/near.jpg", 3, quality=85)
    exif = Image.Exif()
    exif[0x0112] = 8
    write_photo(tmp_path / "train/B/turned.jpg", 900, exif=exif)
    (tmp_path / "train/B/<i>bad.jpg").write_bytes(b"not an image")
    return tmp_path


def test_everything_is_told(messy: Path) -> None:
    seen = inspect_folder(messy)
    assert (seen.images, seen.groups, seen.ordinal) == (63, 60, True)
    assert [(count.name, count.images, count.groups, count.parts) for count in seen.classes] == [
        ("A", 48, 46, {"train": 41, "val": 7}),
        ("B", 15, 15, {"train": 12, "val": 3}),
    ]
    assert seen.imbalance == pytest.approx(48 / 15)
    assert seen.sizes is not None
    assert (seen.sizes.smallest, seen.sizes.largest, seen.sizes.distinct) == ((40, 48), (48, 40), 2)
    assert (seen.sizes.commonest, seen.sizes.commonest_count) == ((48, 40), 61)
    assert seen.check(Unusable).unreadable == (("train/B/<i>bad.jpg", "not an image in a known format"),)
    assert seen.check(Orientation).turned == ("train/B/turned.jpg",)
    crossing = ("train/A/0002.png", "train/B/copy.png")
    assert seen.check(Duplicates).exact == (("train/A/0001.png", "train/A/copy.png"), crossing)
    assert seen.check(Duplicates).near == (("train/A/0003.png", "val/A/near.jpg"),)
    assert seen.check(Duplicates).across_classes == (crossing,)
    assert seen.check(Duplicates).across_parts == seen.check(Duplicates).near
    assert seen.check(Duplicates).across_groups == ()
    assert seen.check(Shortcut).probe is not None
    expected = ["unreadable", "2 files are exact copies", "different classes", "different parts"]
    assert len(seen.findings) == len(expected)
    for line, words in zip(seen.findings, expected, strict=True):
        assert words in line
    shown = json.loads(json.dumps(seen.to_dict()))
    assert shown["classes"][1]["name"] == "B"
    assert set(shown) == {
        *(
            "root",
            "labels_from",
            "images",
            "groups",
            "ordinal",
            "classes",
            "imbalance",
            "sizes",
            "unreadable",
            "doubtful",
        ),
        *("turned", "exact", "near", "across_classes", "across_parts", "across_groups", "probe", "findings", "notes"),
        *(
            "same_fruit",
            "fruit_across_classes",
            "fruit_across_parts",
            "fruit_across_groups",
            "too_large",
            "skipped",
            "unchecked",
        ),
    }


def test_photos_of_one_fruit_are_told_and_shown_pair_by_pair(tmp_path: Path) -> None:
    dataset = read_dataset(write_spotted(tmp_path))
    facts = scan(dataset)
    seen = inspect_dataset(dataset, facts)
    assert seen.groups == 16
    found = seen.check(SameFruit)
    assert {pair.paths for pair in found.same_fruit} == {("A/0.png", "A/again.png"), ("A/1.png", "B/other.png")}
    assert found.same_fruit[0].inliers <= found.same_fruit[1].inliers
    assert all(len(pair.points) == pair.inliers >= 12 for pair in found.same_fruit)
    assert found.fruit_across_classes == (("A/1.png", "B/other.png"),)
    assert any("1 pair of one fruit lies in different classes" in line for line in seen.findings)
    assert any("2 pairs of images show the same fruit" in line for line in seen.notes)
    page = render_inspection(seen, dataset, facts)
    shown = re.findall(r"<figcaption><b>(\d+) features</b> (.*?)</figcaption>", page)
    assert {names for _, names in shown} == {"A A/0.png = A A/again.png", "A A/1.png = B B/other.png"}
    assert page.count('<figure class="pair"><img src="data:image/jpeg;base64,') == 2


def test_groups_that_were_given_are_compared_with_the_fruit_found(tmp_path: Path) -> None:
    seen = inspect_folder(write_spotted(tmp_path), r"re:^\d")
    assert seen.groups == 10
    assert len(seen.check(SameFruit).fruit_across_groups) == 2
    assert any("2 pairs of one fruit lie in different groups" in line for line in seen.findings)
    off = inspect_folder(tmp_path, "none")
    assert (off.groups, off.check(SameFruit).same_fruit) == (18, ())


def test_clean_photos_have_no_findings(tmp_path: Path) -> None:
    seen = inspect_folder(write_folders(tmp_path, {"A": 12, "B": 10}))
    assert seen.findings == ()
    assert seen.notes == ()


def test_groups_that_duplicates_or_parts_divide(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train/A": 6, "train/B": 6, "test/A": 2, "test/B": 2})
    write_photo(tmp_path / "train/A/x_near.jpg", 1, quality=85)
    seen = inspect_folder(tmp_path, r"re:^\d{3}|x")
    assert any(line.startswith("1 group in several of the given parts") for line in seen.findings)
    assert seen.check(Duplicates).across_groups == (("train/A/0001.png", "train/A/x_near.jpg"),)
    assert any("different groups" in line for line in seen.notes)


def test_classes_that_a_part_lacks_are_findings(tmp_path: Path) -> None:
    write_folders(tmp_path, {"train/A": 6, "train/B": 6, "val/B": 2, "test/A": 2})
    findings = inspect_folder(tmp_path).findings
    assert "val has no image of class A" in findings
    assert "test has no image of class B" in findings
    shutil.rmtree(tmp_path / "train")
    assert any("train is missing beside test and val" in line for line in inspect_folder(tmp_path).findings)


def test_imbalance_few_groups_and_shortcut_are_findings(tmp_path: Path) -> None:
    for number in range(44):
        write_photo(tmp_path / "A" / f"{number}.png", number)
    for number in range(4):
        write_photo(tmp_path / "B" / f"{number}.png", 100 + number)
    for number in range(30):
        path = tmp_path / "C" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        photo(200 + number, border=250).save(path)
    findings = inspect_folder(tmp_path).findings
    assert any("11 times" in line for line in findings)
    assert any("class B has 4 groups" in line for line in findings)
    assert any(line.startswith("shortcut") for line in findings)


def test_hardly_anything_readable(tmp_path: Path) -> None:
    write_folders(tmp_path, {"only": 1})
    seen = inspect_folder(tmp_path)
    assert seen.check(Shortcut).probe is None
    assert any("only one class" in line for line in seen.findings)
    (tmp_path / "only" / "0001.png").write_bytes(b"")
    empty = inspect_folder(tmp_path)
    assert empty.sizes is None
    assert empty.check(Unusable).unreadable == (("only/0001.png", "empty file"),)


@dataclass(frozen=True)
class Named(Check):
    """A kind of finding of its own: images by a part of their name."""

    copies: tuple[str, ...]

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        return cls(tuple(path for path in evidence.dataset.paths if "copy" in path))

    def findings(self) -> Iterator[str]:
        yield f"{len(self.copies)} images are called copy"

    def notes(self) -> Iterator[str]:
        yield "names say little"

    def galleries(self) -> Iterator[Gallery]:
        yield Gallery("Called copy", "by their names", (self.copies,))


def test_a_new_kind_of_check_is_one_class(messy: Path) -> None:
    dataset = read_dataset(messy)
    facts = scan(dataset)
    seen = inspect_dataset(dataset, facts)
    seen = replace(seen, checks=(*seen.checks, Named.of(Evidence(dataset, facts))))
    assert seen.findings[-1] == "2 images are called copy"
    assert seen.notes[-1] == "names say little"
    assert list(seen.to_dict())[-3:] == ["copies", "findings", "notes"]
    page = render_inspection(seen, dataset, facts)
    assert re.search(r"Called copy <small>1: by their names.*train/A/copy\.png", page, re.DOTALL)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]


def test_the_report_is_one_file_with_its_images(messy: Path) -> None:
    dataset = read_dataset(messy)
    facts = scan(dataset)
    page = render_inspection(inspect_dataset(dataset, facts), dataset, facts)
    links = _Links()
    links.feed(page)
    assert len(links.sources) > 16
    assert all(source.startswith("data:image/") for source in links.sources)
    assert not links.tags & {"script", "link", "iframe", "i"}
    assert not re.search(r"url\(|@import|https?:", page)
    for words in ("&lt;i&gt;bad.jpg", "Duplicates in different classes", "Exact copies", "Near-duplicates", "Rotated"):
        assert words in page


def test_the_report_of_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "x.jpg").write_bytes(b"")
    dataset = read_dataset(tmp_path)
    facts = scan(dataset)
    page = render_inspection(inspect_dataset(dataset, facts), dataset, facts)
    assert "empty file" in page
    assert "Shortcut probe" not in page


def test_images_of_unknown_depth_or_of_one_colour_are_named(tmp_path: Path) -> None:
    write_folders(tmp_path, {"A": 5, "B": 5})
    ramp = np.linspace(0, 1, 24 * 32).reshape(24, 32)
    (tmp_path / "A/twelve.png").write_bytes(png((ramp * 4095).astype(np.uint16)))
    (tmp_path / "A/fourteen.png").write_bytes(png((ramp * 16383).astype(np.uint16)))
    Image.new("RGB", (24, 32), (3, 3, 3)).save(tmp_path / "B/covered.png")
    seen = inspect_folder(tmp_path)
    assert [path for path, _ in seen.check(Unusable).unreadable] == ["A/twelve.png"]
    assert "16-bit values of at most 4095" in seen.check(Unusable).unreadable[0][1]
    assert [path for path, _ in seen.check(Unusable).doubtful] == ["A/fourteen.png", "B/covered.png"]
    assert any("2 images to check: A/fourteen.png (16-bit values of at most 16383" in found for found in seen.findings)


def test_raw_files_and_jpeg_xl_are_named_not_left_out(tmp_path: Path) -> None:
    write_folders(tmp_path, {"A": 5, "B": 5})
    (tmp_path / "A/lone.CR3").write_bytes(b"\0\0\0\x18ftypcrx " + bytes(64))
    (tmp_path / "A/0001.NEF").write_bytes(b"II*\0" + bytes(64))  # Beside 0001.png, as cameras save both.
    (tmp_path / "B/new.jxl").write_bytes(b"\xff\x0a" + bytes(64))
    seen = inspect_folder(tmp_path)
    assert [path for path, _ in seen.check(Unusable).unreadable] == ["A/lone.CR3", "B/new.jxl"]
    assert "develop it" in seen.check(Unusable).unreadable[0][1]
    assert "convert it" in seen.check(Unusable).unreadable[1][1]
    assert any("A/0001.NEF" in finding for finding in seen.findings)


def test_the_page_fits_a_phone_and_breaks_no_class_name(messy: Path) -> None:
    (messy / "train/Bacterial_Canker_of_the_leaf").mkdir()
    write_photo(messy / "train/Bacterial_Canker_of_the_leaf/1.png", 990)
    dataset = read_dataset(messy)
    facts = scan(dataset)
    html = render_inspection(inspect_dataset(dataset, facts), dataset, facts)
    check_fits_a_phone(html)
    page = Page(html)
    assert "overflow-wrap: anywhere" in page.rules("h3")
    assert "min-width: 11rem" in page.rules("td.path"), "file names may break, but not letter by letter"
    assert "<td>Bacterial_Canker_of_the_leaf</td>" in html
