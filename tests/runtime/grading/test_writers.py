import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mango_grader.errors import MissingExtraError, UsageError
from mango_grader.runtime.grading import writers
from mango_grader.runtime.grading.writers import EXCEL, PLAIN, check_output, write_records
from mango_grader.runtime.inference.records import Record, columns, to_row

CLASSES = ("A", 'B, "x"\nC')
NAMES = [
    "a.jpg",
    "=1+1.jpg",
    "-x.jpg",
    "new\nline.jpg",
    "car\rriage.jpg",
    'q"uo,te.jpg',
    "芒果.jpg",
    "caf\udce9.jpg",
    " ",
]
ROWS = [
    *(Record(name, CLASSES[1], (0.1234567, 0.8765433), 0.8765433, 1, 1.23456, 0.1, None) for name in NAMES),
    Record.failed("bad\ud800.jpg", "image file is truncated, \"sadly\"", 0.5),
]  # fmt: skip


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return list(parquet.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def loose(row: dict[str, Any]) -> dict[str, str]:
    """CSV knows neither numbers nor nothing."""
    return {key: "" if value is None else str(value) for key, value in row.items()}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".CSV"])
def test_every_format_holds_every_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_records(path, CLASSES, iter(ROWS))
    rows = read(path)
    wanted = [to_row(record, CLASSES) for record in ROWS]
    assert [loose(row) for row in rows] == [loose(row) for row in wanted]
    assert list(rows[0]) == columns(CLASSES)
    assert len({row["path"] for row in rows}) == len(ROWS)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_grades_to_review_are_marked_in_every_format(tmp_path: Path, suffix: str) -> None:
    sure, doubtful = (Record(name, "A", (p, 1 - p), p, 1, 1.0, 1.0, None) for name, p in (("s", 0.9), ("d", 0.59)))
    rows = (sure, doubtful, Record.failed("bad", "no image", 1.0))
    marks = {}
    for below in (None, 0.6):
        write_records(tmp_path / f"out{suffix}", CLASSES, rows, below)
        marks[below] = [row["review"] for row in read(tmp_path / f"out{suffix}")]
    if suffix == ".csv":
        assert marks == {None: ["", "", ""], 0.6: ["false", "true", ""]}
    else:
        assert marks == {None: [None, None, None], 0.6: [False, True, None]}


def test_excel_opens_the_table_with_its_accents_columns_and_numbers(tmp_path: Path) -> None:
    rows = (Record("Größe; 芒果.jpg", "A", (0.9, 0.1), 0.9, 1, 12.5, 1e-4, None),)
    write_records(tmp_path / "out.csv", ("A", "B"), rows, 0.95, EXCEL)
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    (row,) = csv.DictReader(data.decode("utf-8-sig").splitlines(), delimiter=";")
    assert list(row) == columns(("A", "B"))
    assert row["path"] == rows[0].path
    assert (row["p_A"], row["confidence"], row["decode_ms"], row["review"]) == ("0,9", "0,9", "12,5", "true")


def test_excel_computes_no_file_name(tmp_path: Path) -> None:
    rows = [Record.failed(name, "bad", 0.5) for name in ("=1+1.jpg", "-x.jpg", "@a.jpg", "day/=1.jpg")]
    for dialect, marks in ((EXCEL, ["'=", "'-", "'@", "da"]), (PLAIN, ["=1", "-x", "@a", "da"])):
        write_records(tmp_path / "out.csv", ("A", "B"), rows, None, dialect)
        lines = (tmp_path / "out.csv").read_text("utf-8-sig").splitlines()[1:]
        assert [line[:2] for line in lines] == marks


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_no_rows_still_make_a_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_records(path, CLASSES, [])
    assert read(path) == []


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_failure_on_the_way_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_records(path, CLASSES, ROWS)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_records(path, CLASSES, (ROWS[1 // (number - 1)] for number in (2, 1)))
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_columns_are_the_promised_ones() -> None:
    assert columns(["A", "B"]) == [
        "path", "grade", "p_A", "p_B", "confidence", "exit", "decode_ms", "infer_ms", "error",
        "review", "warning", "cost", "set", "late",
    ]  # fmt: skip


def test_parquet_columns_keep_their_types_even_where_all_rows_failed(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_records(tmp_path / "x.parquet", CLASSES, ROWS[-1:])
    types = {one.name: str(one.type) for one in parquet.read_schema(tmp_path / "x.parquet")}
    assert (types["grade"], types["exit"], types["confidence"]) == ("string", "int32", "double")


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UsageError, match=r"written as \.csv, \.jsonl, \.parquet"):
        check_output("x.xlsx")


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mango-grader\[parquet\]"):
        check_output("x.parquet")
