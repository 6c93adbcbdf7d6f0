"""Nothing that somebody else wrote is replaced, whatever it is called and whichever command writes there."""

import os
import shutil
from pathlib import Path

import pytest
from badfiles import textured
from bundles import CLASSES

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.grading.contact_sheet import write_sheet
from mango_grader.runtime.grading.journal import Journal
from mango_grader.runtime.grading.outputs import BUNDLE, FIGURES, PAGE, ROWS, Kind, check_replaceable, is_own
from mango_grader.runtime.grading.writers import EXCEL, write_records
from mango_grader.runtime.inference.records import Record

RECORDS = (Record("a.jpg", "red", (0.1, 0.2, 0.7), 0.7, 2, 1.0, 1.0, None),)
FOREIGN = {
    "labels.csv": b"image_id,label\na.jpg,red\n",
    "semicolons.csv": b"image_id;label\na.jpg;red\n",
    "binary.csv": bytes(range(256)),
    "events.jsonl": b'{"event": 1}\n',
    "torn.jsonl": b'{"path": ',
    "table.parquet": b"PAR1",
    "home.html": b"<!doctype html><title>Our orchard</title>",
    "photo.html": textured("PNG"),
    "settings.json": b'{"model": 1}',
    "list.json": b"[1]",
    "torn.json": b"{",
    "weights.mango": b"not a zip",
    "photo.mango": textured("JPEG"),
}
KINDS = {ending: kind for kind in (ROWS, PAGE, FIGURES, BUNDLE) for ending in kind.endings}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_somebody_else_is_never_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FOREIGN[name])
    with pytest.raises(UsageError, match="mango-grader did not write it") as error:
        check_replaceable(path, KINDS[path.suffix])
    assert "\n" not in str(error.value)
    assert path.read_bytes() == FOREIGN[name]


@pytest.mark.parametrize("kind", [ROWS, PAGE, FIGURES, BUNDLE])
def test_another_ending_or_a_folder_is_refused(tmp_path: Path, kind: Kind) -> None:
    for name in ("photo.jpg", "model.onnx", "none"):
        with pytest.raises(UsageError, match=f"{kind.verb} {kind.endings[0]}"):
            check_replaceable(tmp_path / name, kind)
    folder = tmp_path / f"folder{kind.endings[0]}"
    folder.mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_replaceable(folder, kind)


def test_our_own_files_new_ones_and_empty_ones_may_be_written(tmp_path: Path, bundle: Path) -> None:
    odd = ("plain", 'comma, "quote"\nand line', "semi;colon")
    for number, (classes, dialect) in enumerate([(CLASSES, {}), (odd, {}), (odd, {"dialect": EXCEL})]):
        for ending in (".csv", ".jsonl"):
            path = tmp_path / f"rows{number}{ending}"
            write_records(path, classes, (), **dialect) if ending == ".csv" else write_records(path, classes, RECORDS)
            check_replaceable(path, ROWS)
    write_sheet(tmp_path / "sheet.html", RECORDS, CLASSES, "title")
    check_replaceable(tmp_path / "sheet.html", PAGE)
    files.write_json(tmp_path / "figures.json", {"model": "m", "data": "d", "classes": [], "exits": [], "errors": {}})
    check_replaceable(tmp_path / "figures.json", FIGURES)
    shutil.copy(bundle, tmp_path / "model.mango")
    check_replaceable(tmp_path / "model.mango", BUNDLE)
    for ending, kind in KINDS.items():
        check_replaceable(tmp_path / "new" / f"file{ending}", kind)
        (tmp_path / f"empty{ending}").touch()
        check_replaceable(tmp_path / f"empty{ending}", kind)


def test_pages_of_versions_without_the_mark_are_known(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for text in (
        "<h1>4 images</h1>\n<p>Within each grade the least confident come first.</p>",
        "<title>Data inspection: x",
    ):
        page.write_text(f"<!doctype html>\n{text}")
        check_replaceable(page, PAGE)


def test_what_we_wrote_is_told_from_everything_else(tmp_path: Path, bundle: Path) -> None:
    write_records(tmp_path / "rows.csv", CLASSES, RECORDS)
    with Journal.create(tmp_path / "rows.csv.journal", {}):
        pass
    for name, data in FOREIGN.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "other.journal").write_text("Monday: rain")
    assert {path.name for path in tmp_path.iterdir() if is_own(path)} == {"rows.csv", "rows.csv.journal"}
    assert is_own(bundle)


def test_a_parquet_file_of_ours_is_known(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_records(tmp_path / "rows.parquet", CLASSES, RECORDS)
    check_replaceable(tmp_path / "rows.parquet", ROWS)


def test_a_link_that_leads_nowhere_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("nowhere")
    with pytest.raises(UsageError, match="did not write it"):
        check_replaceable(tmp_path / "link.json", FIGURES)


def test_json_of_any_depth_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="did not write it"):
        check_replaceable(tmp_path / "deep.json", FIGURES)
