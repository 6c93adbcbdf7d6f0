import json
import os
from pathlib import Path

import pytest
from bundles import CLASSES, COLOURS, make_bundle, solid
from commands import call, read_csv
from photos import photo
from PIL import Image

from mango_grader.runtime.inference.records import columns


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    """Six images, two of each grade, one of them in a sub-folder."""
    for number in range(6):
        path = tmp_path / "fruit" / ("sub" if number == 5 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(solid(CLASSES[number % 3])).save(path)
    return tmp_path / "fruit"


def test_one_row_per_image_in_order(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.csv"
    done = call("grade", fruit, "--model", bundle, "--out", out, "--recursive", "--progress", "none")
    assert (done.exit_code, done.output) == (0, "")
    rows = read_csv(out)
    assert list(rows[0]) == columns(CLASSES)
    assert [row["path"] for row in rows] == sorted(str(path) for path in fruit.rglob("*.png"))
    assert [row["grade"] for row in rows] == [CLASSES[int(Path(row["path"]).stem) % 3] for row in rows]
    assert all(0.9 < float(row["confidence"]) <= 1 and row["exit"] == "2" and row["error"] == "" for row in rows)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_other_formats_hold_the_same(fruit: Path, bundle: Path, tmp_path: Path, suffix: str) -> None:
    for one in (".csv", suffix):
        assert call("grade", fruit, "--model", bundle, "--out", tmp_path / f"out{one}").exit_code == 0
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["path"], row["grade"]) for row in rows] == [
        (row["path"], row["grade"]) for row in read_csv(tmp_path / "out.csv")
    ]


def test_without_out_a_table_and_a_summary(fruit: Path, bundle: Path) -> None:
    done = call("grade", fruit, "--model", bundle, "--review-below", "0.993")
    assert done.exit_code == 0
    assert "5 images, green 2, red 1, yellow 2, to review 3" in done.stdout
    assert done.stdout.partition("\n\n")[0].count(".png") == 5
    assert sorted(path.name for path in fruit.iterdir()) == ["0.png", "1.png", "2.png", "3.png", "4.png", "sub"]


def test_warnings_are_shown_where_no_file_keeps_them(bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (3, 3, 3)).save(tmp_path / "covered.png")
    photo(1).save(tmp_path / "fruit.png")
    done = call("grade", tmp_path, "--model", bundle, "--contact-sheet", tmp_path / "sheet.html")
    assert f"{tmp_path / 'covered.png'}: practically one colour" in done.stdout
    assert "with a warning 1" in done.stdout
    assert "fruit.png: " not in done.stdout
    assert (tmp_path / "sheet.html").read_text().count("practically one colour") == 1


def test_a_pipe_gets_file_names_and_reasons_unfolded(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    name = "mango_" + "0123456789" * 12 + ".png"
    os.link(fruit / "0.png", fruit / name)
    (fruit / ("bad" * 40)).write_text("no image")
    (line,) = [line for line in call("grade", fruit, "--model", bundle).stdout.splitlines() if name in line]
    assert line.split()[:2] == [str(fruit / name), "green"]
    (line,) = [line for line in call("grade", fruit, "--model", bundle).stdout.splitlines() if "bad" * 40 in line]
    assert "not an image in a known format" in line


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_review_below_marks_rows_in_every_format(fruit: Path, bundle: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    done = call("grade", fruit, "--model", bundle, "--review-below", "0.993", "--out", out, "--progress", "plain")
    assert "to review 3" in done.stderr
    if suffix == ".csv":
        marks = [row["review"] for row in read_csv(out)]
        assert marks.count("true") == 3
    elif suffix == ".jsonl":
        marks = [json.loads(line)["review"] for line in out.read_text().splitlines()]
    else:
        marks = pytest.importorskip("pyarrow.parquet").read_table(out).column("review").to_pylist()
    assert sorted(str(mark).lower() for mark in marks) == ["false", "false", "true", "true", "true"]


def test_excel_gets_its_own_csv(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    for more in ([], ["--resume"]):
        assert call("grade", fruit, "--model", bundle, "--out", out, "--excel", *more).exit_code == 0
        assert out.read_bytes().startswith(b"\xef\xbb\xbfpath;grade;p_green;")
        assert out.read_text("utf-8-sig").count(";0,9") >= 5


@pytest.mark.parametrize("name", ["photo.jpg", "labels.csv", "home.html"])
def test_the_contact_sheet_never_replaces_what_others_wrote(
    fruit: Path, bundle: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    done = call("grade", fruit, "--model", bundle, "--contact-sheet", tmp_path / name)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert (tmp_path / name).read_text() == "mine"


def test_results_that_somebody_replaced_are_left_alone(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    assert call("grade", fruit, "--model", bundle, "--out", out).exit_code == 0
    out.write_text("image_id,label\n0.png,green\n")
    done = call("grade", fruit, "--model", bundle, "--out", out, "--resume")
    assert done.exit_code == 2
    assert "mango-grader did not write it" in done.stderr
    assert out.read_text() == "image_id,label\n0.png,green\n"


def test_a_long_table_is_cut_and_says_so(fruit: Path, bundle: Path) -> None:
    for number in range(60):
        os.link(fruit / "0.png", fruit / f"more{number:02}.png")
    done = call("grade", fruit, "--model", bundle)
    assert "… and 25 more" in done.stdout
    assert "65 images" in done.stdout


@pytest.mark.parametrize(("policy", "exits"), [("full", {"2"}), ("exit:1", {"1"}), ("threshold", {"1"})])
def test_policies_choose_the_exit(fruit: Path, bundle: Path, tmp_path: Path, policy: str, exits: set[str]) -> None:
    out = tmp_path / "out.csv"
    assert call("grade", fruit, "--model", bundle, "--out", out, "--policy", policy).exit_code == 0
    assert {row["exit"] for row in read_csv(out)} == exits


def test_int8_grades_with_its_own_stages(fruit: Path, tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "int8.mango", noise=1.0)
    rows = {}
    for precision in ("fp32", "int8"):
        out = tmp_path / f"{precision}.csv"
        assert call("grade", fruit, "--model", model, "--out", out, "--precision", precision).exit_code == 0
        rows[precision] = read_csv(out)
    assert all(
        float(int8["p_green"]) > float(fp32["p_green"]) for int8, fp32 in zip(rows["int8"], rows["fp32"], strict=True)
    )


def test_images_are_sorted_into_folders(fruit: Path, bundle: Path) -> None:
    (fruit / "bad.jpg").write_text("no image")
    (fruit / "gone.jpg").symlink_to("nowhere")
    target = fruit / "sorted"
    for _ in range(2):  # The second run walks past what the first one left.
        done = call(
            "grade", fruit, "--model", bundle, "--recursive", "--sort-into", target, "--review-below", "0.992",
            "--progress", "plain",
        )  # fmt: skip
        assert done.exit_code == 3
        found = sorted(str(path.relative_to(target)) for path in target.rglob("[!.]*.*"))
        assert found == ["_errors/bad.jpg", "_review/0.png", "_review/3.png", "red/2.png", "red/5.png",
                         "yellow/1.png", "yellow/4.png"]  # fmt: skip
        assert f"could not be copied: {fruit / 'gone.jpg'}: broken link" in done.stderr


def test_a_copy_that_fails_shows_in_the_exit_code(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted" / "red").write_text("in the way")
    done = call("grade", fruit, "--model", bundle, "--sort-into", tmp_path / "sorted", "--progress", "plain")
    assert done.exit_code == 3
    assert f"could not be copied: {fruit / '2.png'}: file exists ({tmp_path / 'sorted' / 'red'})" in done.stderr
    assert len(list((tmp_path / "sorted").rglob("*.png"))) == 4


def test_the_contact_sheet_is_written_and_never_graded(fruit: Path, bundle: Path) -> None:
    for _ in range(2):
        assert call("grade", fruit, "--model", bundle, "--contact-sheet", fruit / "sheet.html").exit_code == 0
    text = (fruit / "sheet.html").read_text("utf-8")
    assert text.count("<figure") == 5
    assert text.count("<h2>") == 3


def test_existing_results_are_refused_and_left_alone(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    for more in ([], ["--resume"]):
        done = call("grade", fruit, "--model", bundle, "--out", out, *more)
        assert done.exit_code == 2
        assert done.stderr == f"Error: {out} exists, and mango-grader did not write it; choose another name\n"
        assert out.read_text() == "mine"


def test_results_of_an_earlier_run_are_not_thrown_away(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert call("grade", fruit, "--model", bundle, "--out", out).exit_code == 0
    before = out.read_bytes()
    done = call("grade", fruit, "--model", bundle, "--out", out)
    assert done.exit_code == 2
    assert done.stderr == f"Error: {out} exists; add --resume to continue it, or choose another --out\n"
    (tmp_path / "out.csv.journal").unlink()
    done = call("grade", fruit, "--model", bundle, "--out", out, "--resume")
    assert (done.exit_code, f"{out}.journal is gone" in done.stderr) == (2, True)
    assert out.read_bytes() == before


def test_resume_of_a_finished_run_grades_only_what_is_new(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert call("grade", fruit, "--model", bundle, "--out", out).exit_code == 0
    before = out.read_text()
    assert call("grade", fruit, "--model", bundle, "--out", out, "--resume").exit_code == 0
    assert out.read_text() == before, "times too: nothing was graded again"
    (fruit / "00.jpg").write_text("bad")
    assert call("grade", fruit, "--model", bundle, "--out", out, "--resume").exit_code == 3
    rows = out.read_text().splitlines()
    assert [line for line in rows if "00.jpg" not in line] == before.splitlines()
    assert len(rows) == 7


def test_a_finished_run_whose_results_are_gone_starts_afresh(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert call("grade", fruit, "--model", bundle, "--out", out).exit_code == 0
    out.unlink()
    assert call("grade", fruit, "--model", bundle, "--out", out, "--policy", "exit:1").exit_code == 0
    assert {row["exit"] for row in read_csv(out)} == {"1"}


def test_an_interrupted_run_is_not_thrown_away(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out, journal = tmp_path / "out.csv", tmp_path / "out.csv.journal"
    assert call("grade", fruit, "--model", bundle, "--out", out).exit_code == 0
    out.unlink()
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    kept = journal.read_bytes()
    done = call("grade", fruit, "--model", bundle, "--out", out)
    assert (done.exit_code, journal.read_bytes()) == (2, kept)
    assert "add --resume" in done.stderr
    assert call("grade", fruit, "--model", bundle, "--out", out, "--resume").exit_code == 0
    assert len(read_csv(out)) == 5


def test_a_run_that_could_not_write_its_results_is_one_to_resume(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "out.csv", tmp_path / "full" / "sheet.html"
    sheet.parent.write_text("in the way")
    done = call("grade", fruit, "--model", bundle, "--out", out, "--contact-sheet", sheet)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, f"Error: File exists: {sheet.parent}")
    out.unlink()
    assert "add --resume" in call("grade", fruit, "--model", bundle, "--out", out).stderr
    sheet.parent.unlink()
    assert call("grade", fruit, "--model", bundle, "--out", out, "--contact-sheet", sheet, "--resume").exit_code == 0
    assert len(read_csv(out)) == 5


@pytest.mark.parametrize("other", ["model", "policy", "precision"])
def test_a_journal_of_another_run_is_refused(fruit: Path, bundle: Path, tmp_path: Path, other: str) -> None:
    out = tmp_path / "out.csv"
    assert call("grade", fruit, "--model", bundle, "--out", out).exit_code == 0
    before = out.read_bytes(), (tmp_path / "out.csv.journal").read_bytes()
    model = make_bundle(tmp_path / "m.mango", policies={}) if other == "model" else bundle
    more = {"model": [], "policy": ["--policy", "exit:1"], "precision": ["--precision", "int8"]}[other]
    done = call("grade", fruit, "--model", model, "--out", out, "--resume", *more)
    assert done.exit_code == 2
    assert f"made with another {other};" in done.stderr
    assert (out.read_bytes(), (tmp_path / "out.csv.journal").read_bytes()) == before


def test_results_beside_the_images_are_not_graded(fruit: Path, bundle: Path) -> None:
    out = fruit / "out.csv"
    for more in ([], ["--resume"]):
        assert call("grade", fruit, "--model", bundle, "--out", out, *more).exit_code == 0
    assert len(read_csv(out)) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume continues a job with --out"),
        (["--out", "x.txt"], "written as .csv, .jsonl, .parquet"),
        (["--contact-sheet", "photo.jpg"], "photo.jpg: a page is written as .html"),
        (["--contact-sheet", "."], ".: a page is written as .html"),
        (["--excel"], "--excel is for CSV"),
        (["--excel", "--out", "x.jsonl"], "--excel is for CSV"),
        (["--policy", "exit:7"], "exits 1 to 2"),
        (["--policy", "best"], "unknown to this model"),
        (["--workers", "0"], "x>=1"),
        (["--review-below", "2"], "0<=x<=1"),
        (["--provider", "cuda"], "onnxruntime-gpu"),
        (["typo.jpg"], "no such file or folder: typo.jpg"),
    ],
)
def test_wrong_usage_says_so_in_one_line(fruit: Path, bundle: Path, arguments: list[str], message: str) -> None:
    done = call("grade", fruit, "--model", bundle, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_an_odd_class_name_goes_through_everything(fruit: Path, tmp_path: Path) -> None:
    names = ("a/b [red]", 'C,"<i>', "_errors")
    model = make_bundle(tmp_path / "odd.mango", classes=names)
    done = call(
        "grade", fruit, "--model", model, "--out", tmp_path / "o.csv", "--sort-into", tmp_path / "s",
        "--contact-sheet", tmp_path / "c.html",
    )  # fmt: skip
    assert done.exit_code == 0
    assert {row["grade"] for row in read_csv(tmp_path / "o.csv")} == set(names)
    assert len(list((tmp_path / "s").glob("[!.]*"))) == len(COLOURS)
    assert call("grade", fruit, "--model", model).exit_code == 0
