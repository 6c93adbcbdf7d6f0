import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from pages import check_fits_a_phone
from PIL import Image

from mango_grader.runtime.grading import contact_sheet
from mango_grader.runtime.grading.contact_sheet import write_sheet
from mango_grader.runtime.inference.records import Record, Summary


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("src", "href")]


def graded(path: Path, grade: str, confidence: float) -> Record:
    Image.fromarray(np.full((30, 300, 3), 99, np.uint8)).save(path, "PNG")
    return Record(str(path), grade, (confidence, 1 - confidence), confidence, 2, 1.0, 1.0, None)


def test_the_sheet_shows_every_group_and_loads_nothing(tmp_path: Path) -> None:
    evil = "<script>alert(1)<&'\"\n.png".replace("/", "")
    records = [
        graded(tmp_path / evil, "A<b>", 0.95), graded(tmp_path / "b.png", "A<b>", 0.4),
        Record.failed(str(tmp_path / "caf\udce9.jpg"), "no <such> file", 1.0),
    ]  # fmt: skip
    write_sheet(tmp_path / "sheet.html", records, ("A<b>", "empty"), "3 <images>", review_below=0.5)
    text = (tmp_path / "sheet.html").read_text("utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert page.tags.count("figure") == 3
    assert page.tags.count("img") == 2
    assert page.tags.count("h2") == 2, "a grade that no image has gets no section"
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "http" not in text
    for shown in ("95.0%", "40.0%, exit 2, to review", "no &lt;such&gt; file", "A&lt;b&gt;", "caf\\xe9.jpg"):
        assert shown in text
    assert text.index("40.0%") < text.index("95.0%"), "the least confident come first"


def test_the_sheet_fits_a_phone(tmp_path: Path) -> None:
    write_sheet(tmp_path / "s.html", [graded(tmp_path / "a.png", "A" * 60, 0.9)], ("A" * 60, "B"), "one")
    check_fits_a_phone((tmp_path / "s.html").read_text("utf-8"))


def test_thumbnails_are_small_pictures_of_the_files(tmp_path: Path) -> None:
    write_sheet(tmp_path / "s.html", [graded(tmp_path / "a.png", "A", 0.9)], ("A", "B"), "one")
    data = re.search(r"base64,([^\"]+)", (tmp_path / "s.html").read_text("utf-8"))
    assert data is not None
    with Image.open(io.BytesIO(base64.b64decode(data[1]))) as image:
        assert image.size == (144, 14)
        assert np.abs(np.asarray(image).astype(int) - 99).max() <= 3


def test_a_long_group_keeps_its_least_confident(tmp_path: Path) -> None:
    count = 3 * contact_sheet.LIMIT
    order = np.random.default_rng(0).permutation(count)
    records = [
        Record(f"gone/{number}.jpg", "A", (0.5, 0.5), 0.5 + number / count / 2, 1, 1, 1, None) for number in order
    ]
    write_sheet(tmp_path / "s.html", records, ("A", "B"), "many")
    text = (tmp_path / "s.html").read_text("utf-8")
    shown = [int(number) for number in re.findall(r"<br>(\d+)\.jpg", text)]
    assert shown == list(range(contact_sheet.LIMIT))
    assert f"{count}, {contact_sheet.LIMIT} shown" in text


def test_the_summary_counts(tmp_path: Path) -> None:
    records = [
        graded(tmp_path / "a", "B", 0.9), graded(tmp_path / "b", "A", 0.6), graded(tmp_path / "c", "B", 0.5),
        Record.failed("d", "bad", 1.0),
    ]  # fmt: skip
    summary = Summary.of(records, review_below=0.6)
    assert str(summary) == "4 images, A 1, B 2, to review 1, errors 1"
    assert str(Summary.of(records[:1])) == "1 image, B 1"
