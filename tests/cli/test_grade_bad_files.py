import os
from pathlib import Path

import pytest
from badfiles import make_bad_files, make_odd_files, textured
from bundles import solid
from commands import read_csv, start

from mango_grader.text import printable_path


def test_forty_bad_files_give_forty_rows(bundle: Path, tmp_path: Path) -> None:
    bad = make_bad_files(tmp_path / "bad")
    process = start(
        "grade", tmp_path / "bad", "--model", bundle, "--out", tmp_path / "out.csv", "--workers", "2",
        "--sort-into", tmp_path / "sorted", "--contact-sheet", tmp_path / "sheet.html",
    )  # fmt: skip
    out, err = process.communicate(timeout=600)  # A FIFO that is opened would hang here.
    assert process.returncode == 3, err
    assert out == b""
    assert b"Traceback" not in err
    rows = read_csv(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == [printable_path(path) for path in bad]
    assert all(row["error"] and not row["grade"] and not row["confidence"] for row in rows)
    assert (tmp_path / "sheet.html").read_text("utf-8").count("<figure") == 40
    copied = len(os.listdir(tmp_path / "sorted" / "_errors"))  # noqa: PTH208
    assert copied + err.count(b"could not be copied") == 40
    assert copied >= 34


def test_the_same_as_a_table(bundle: Path, tmp_path: Path) -> None:
    make_bad_files(tmp_path / "bad")
    process = start("grade", tmp_path / "bad", "--model", bundle)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 3, err
    assert b"40 images, errors 40" in out
    assert out.decode("utf-8")


def test_odd_pictures_and_odd_names_are_graded(bundle: Path, tmp_path: Path) -> None:
    odd = make_odd_files(tmp_path / "odd", solid("red", (64, 48)))
    for name in (b"-x.png", b"caf\xe9.png", b"new\nline.png", b"a  b.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path / "odd") + b"/" + name))
        path.write_bytes((tmp_path / "odd" / "no_extension").read_bytes())
        odd.append(str(path))
    process = start("grade", tmp_path / "odd", "--model", bundle, "--out", tmp_path / "out.jsonl")
    assert process.communicate(timeout=600)[1]
    assert process.returncode == 0
    assert (tmp_path / "out.jsonl").read_text("utf-8").count("\n") == len(odd)


def test_names_on_the_command_line_may_be_odd(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [b"-x.png", b"caf\xe9.png", b"new\nline.png"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(textured("PNG"))
    monkeypatch.chdir(tmp_path)
    process = start("grade", "--model", bundle, "--out", "out.csv", "--", *names)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert [row["path"] for row in read_csv(tmp_path / "out.csv")] == ["-x.png", "caf\\xe9.png", "new\nline.png"]
