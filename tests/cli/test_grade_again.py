"""Grading again, with other processes, files, spellings and policies: no row is lost, repeated or stale."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from bundles import CLASSES, solid
from click.testing import CliRunner
from commands import call, read_csv, start
from PIL import Image

from mango_grader.cli import main
from mango_grader.files import locked


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four images, "0.png" green, "1.png" yellow, "2.png" red, "3.png" green, in day/ of the current folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        save(tmp_path / "day" / f"{number}.png", CLASSES[number % 3])
    return tmp_path / "day"


def save(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(solid(colour)).save(path)


def grades(path: Path) -> dict[str, str]:
    rows = read_csv(path)
    found = {Path(row["path"]).name: row["grade"] for row in rows}
    assert len(found) == len(rows)
    return found


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def copies(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))


def test_a_second_process_with_the_same_out_is_refused_and_no_row_is_lost(day: Path, bundle: Path) -> None:
    out, journal, target = Path("out.csv"), Path("out.csv.journal"), Path("sorted")
    target.mkdir()
    arguments = ["grade", "day", "--model", bundle, "--out", out, "--sort-into", target, "--progress", "none"]
    with locked(target / ".mango-grader.lock", "busy"):  # The first process waits for it, with all its rows.
        first = start(*arguments)
        deadline = time.monotonic() + 600
        while lines(journal) < 5 and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        before = journal.read_bytes()
        for more in ([], ["--resume"]):
            second = start(*arguments, *more)
            _, err = second.communicate(timeout=600)
            assert second.returncode == 2
            assert err.decode() == f"Error: another process writes {out}; wait for it, or choose another --out\n"
        assert journal.read_bytes() == before
        assert first.poll() is None
    assert first.communicate(timeout=600) == (b"", b"")
    assert first.returncode == 0
    assert len(grades(out)) == len(copies(target)) == 4
    assert "add --resume" in call(*arguments).stderr, "nobody holds it any more"
    assert call(*arguments, "--resume").exit_code == 0


def test_an_image_that_was_overwritten_is_graded_and_copied_again(day: Path, bundle: Path) -> None:
    arguments = ["grade", "day", "--model", bundle, "--out", "out.csv", "--sort-into", "sorted"]
    assert call(*arguments).exit_code == 0
    unchanged = [row for row in read_csv(Path("out.csv")) if row["path"] != "day/0.png"]
    save(day / "0.png", "red")
    os.utime(day / "0.png", ns=(1, 1))
    done = call(*arguments, "--resume", "--progress", "plain")
    assert (done.exit_code, "they changed or had an error: 1 image\n" in done.stderr) == (0, True)
    assert grades(Path("out.csv")) == {"0.png": "red", "1.png": "yellow", "2.png": "red", "3.png": "green"}
    assert [row for row in read_csv(Path("out.csv")) if row["path"] != "day/0.png"] == unchanged, "times, too"
    assert copies(Path("sorted")) == ["green/3.png", "red/0.png", "red/2.png", "yellow/1.png"]


def test_a_half_written_image_is_graded_once_it_is_whole(day: Path, bundle: Path) -> None:
    whole = (day / "2.png").read_bytes()
    (day / "2.png").write_bytes(whole[:60])
    arguments = ["grade", "day", "--model", bundle, "--out", "out.csv", "--sort-into", "sorted"]
    assert call(*arguments).exit_code == 3
    assert copies(Path("sorted")) == ["_errors/2.png", "green/0.png", "green/3.png", "yellow/1.png"]
    (day / "2.png").write_bytes(whole)
    assert call(*arguments, "--resume").exit_code == 0
    assert grades(Path("out.csv"))["2.png"] == "red"
    assert copies(Path("sorted")) == ["green/0.png", "green/3.png", "red/2.png", "yellow/1.png"]


def test_one_file_named_three_times_has_one_row(day: Path, bundle: Path) -> None:
    arguments = ["grade", "--model", bundle, "--out", "out.csv"]
    assert call(*arguments, "day", "./day", day).exit_code == 0
    assert [row["path"] for row in read_csv(Path("out.csv"))] == [f"day/{number}.png" for number in range(4)]
    before = Path("out.csv").read_text()
    for other in ("./day", day):
        assert call(*arguments, other, "--resume").exit_code == 0
        assert Path("out.csv").read_text() == before


def test_sorting_a_folder_into_itself_is_refused(day: Path, bundle: Path) -> None:
    for target in ("day", "."):
        for source in ("day", "day/0.png", "day/*.png"):
            done = call("grade", source, "--model", bundle, "--recursive", "--sort-into", target)
            assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
            assert f"choose another, such as {Path(target, 'sorted')}" in done.stderr
    assert sorted(path.name for path in day.iterdir()) == ["0.png", "1.png", "2.png", "3.png"]


def test_sorting_into_a_folder_within_gives_the_same_rows_every_time(day: Path, bundle: Path) -> None:
    for number in range(3):
        out = Path(f"{number}.csv")
        done = call("grade", "day", "--recursive", "--model", bundle, "--out", out, "--sort-into", "day/sorted")
        assert done.exit_code == 0
        assert len(grades(out)) == len(copies(day / "sorted")) == 4


def test_results_and_copies_of_earlier_runs_are_not_graded(day: Path, bundle: Path) -> None:
    shutil.copy(bundle, day / "colours.mango")
    for number in range(3):
        out = day / f"rows{number}.jsonl"
        done = call(
            "grade", "day", "--recursive", "--model", bundle, "--out", out, "--sort-into", day / f"sorted{number}",
            "--contact-sheet", day / f"sheet{number}.html",
        )  # fmt: skip
        assert (done.exit_code, out.read_text().count("\n")) == (0, 4)
    assert call("grade", "day", "--recursive", "--model", bundle, "--out", "after.csv").exit_code == 0
    assert len(grades(Path("after.csv"))) == 4
    (day / "0.png").unlink()
    done = call("grade", "day", "--recursive", "--model", bundle)
    assert "6 images" in done.stdout, "three copies of an image that has gone, and three others"
    done = call("grade", "day/1.png", "day/sorted0/yellow/1.png", "--model", bundle)
    assert "2 images" in done.stdout, "what is named is graded"
    (day / "orders.csv").write_text("fruit,price\n")
    assert call("grade", "day", "--model", bundle).exit_code == 3


def test_after_another_policy_an_image_lies_in_one_grade(day: Path, bundle: Path) -> None:
    places = set()
    for number, more in enumerate((["exit:1"], ["exit:1", "--review-below", "0.9"], ["full", "--review-below", "0.9"])):
        arguments = ["grade", "day", "--model", bundle, "--out", f"{number}.csv", "--sort-into", "sorted"]
        assert call(*arguments, "--policy", *more).exit_code == 0
        assert sorted(Path(name).name for name in copies(Path("sorted"))) == ["0.png", "1.png", "2.png", "3.png"]
        places.add(tuple(copies(Path("sorted"))))
    assert len(places) > 1


def test_a_sorting_that_was_killed_leaves_no_image_in_two_grades(day: Path, bundle: Path) -> None:
    for number in range(4, 60):
        os.link(day / "0.png", day / f"{number}.png")
    arguments = ["grade", "day", "--model", bundle, "--progress", "none", "--sort-into", "sorted", "--review-below"]
    for goal, below, group in [(10, "0", "green"), (10, "1", "_review"), (30, "0", "green")]:
        process = start(*arguments, below)
        deadline = time.monotonic() + 600
        while process.poll() is None and len(copies(Path("sorted", group))) < goal and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.communicate()
    assert call(*arguments, "1").exit_code == 0
    assert copies(Path("sorted")) == sorted(f"_review/{number}.png" for number in range(60))


def test_files_come_from_a_list_a_pattern_or_standard_input(day: Path, bundle: Path) -> None:
    wanted = {"0.png": "green", "2.png": "red"}
    arguments = ["grade", "--model", bundle, "--out"]
    Path("list.txt").write_text("day/0.png\r\nday/2.png\r\n")
    assert call(*arguments, "lines.csv", "--files-from", "list.txt").exit_code == 0
    assert grades(Path("lines.csv")) == wanted
    told = ["grade", "--model", str(bundle), "--out", "stdin.csv", "--files-from", "-"]
    assert CliRunner().invoke(main, told, input=b"day/0.png\0./day/2.png\0day/2.png\0").exit_code == 0
    assert grades(Path("stdin.csv")) == wanted
    os.mkfifo("fifo")  # What a shell makes of <(find …).
    writer = threading.Thread(target=Path("fifo").write_text, args=["day/2.png\nday/0.png"])
    writer.start()
    assert call(*arguments, "fifo.csv", "--files-from", "fifo").exit_code == 0
    writer.join()
    assert grades(Path("fifo.csv")) == wanted
    assert call(*arguments, "pattern.csv", "day/[02].png").exit_code == 0
    assert grades(Path("pattern.csv")) == wanted


def test_what_a_list_names_and_is_gone_gets_its_row(day: Path, bundle: Path) -> None:
    Path("list.txt").write_text("day/0.png\ngone.png\n-\n")
    done = call("grade", "--model", bundle, "--out", "out.csv", "--files-from", "list.txt")
    assert done.exit_code == 3
    assert [(row["path"], row["error"]) for row in read_csv(Path("out.csv"))] == [
        ("./-", "no such file"), ("day/0.png", ""), ("gone.png", "no such file"),
    ]  # fmt: skip


def test_one_image_comes_from_standard_input(day: Path, bundle: Path) -> None:
    told = ["grade", "-", "--model", str(bundle), "--out", "out.csv"]
    assert CliRunner().invoke(main, told, input=(day / "2.png").read_bytes()).exit_code == 0
    (row,) = read_csv(Path("out.csv"))
    assert (row["path"], row["grade"]) == ("-", "red")
    done = CliRunner().invoke(main, [*told[:-2], "--review-below", "0.5"], input=b"day/0.png\n")
    assert (done.exit_code, "not an image" in done.stdout) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name images or folders, or a list of them with --files-from"),
        (["--files-from", "gone.txt"], "--files-from gone.txt: no such file or directory"),
        (["--files-from", "day"], "--files-from day: is a directory"),
        (["--files-from", "empty.txt"], "the list of files is empty"),
        (["--files-from", "wrong.txt"], "no path in the list exists, such as nothing/1.png"),
        (["-", "day"], "without other paths; ./- is a file of that name"),
        (["-", "--files-from", "-"], "without --files-from"),
        (["-", "--recursive"], "without --recursive"),
        (["-", "--sort-into", "sorted"], "without --sort-into"),
        (["-", "--contact-sheet", "sheet.html"], "without --contact-sheet"),
        (["-", "--out", "o.csv", "--resume"], "without --resume"),
        (["day/*.tif"], "nothing matches day/*.tif"),
    ],
)
def test_inputs_that_mean_nothing_or_two_things_are_refused(
    day: Path, bundle: Path, arguments: list[str], message: str
) -> None:
    Path("empty.txt").write_text("\n")
    Path("wrong.txt").write_text("nothing/1.png\n")
    done = call("grade", *arguments, "--model", bundle)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert sorted(path.name for path in Path().iterdir()) == ["day", "empty.txt", "wrong.txt"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_journal_of_an_earlier_version_is_continued(day: Path, bundle: Path, version: int) -> None:
    arguments = ["grade", "day", "--model", bundle, "--out", "out.csv"]
    assert call(*arguments).exit_code == 0
    lines = [json.loads(line) for line in Path("out.csv.journal").read_text().splitlines()]
    lines[0]["kind"] = f"mango-grader journal {version}"
    for line in lines[1:-1]:
        del line["id"]
        if version == 1:
            del line["source"]
    (day / "0.png").unlink()
    save(day / "1.png", "red")
    Path("out.csv.journal").write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = call(*arguments, "--resume")
    assert again.exit_code == 0
    assert f"had an error: {'3 images' if version == 1 else '1 image'}" in again.stderr
    assert grades(Path("out.csv")) == {"0.png": "green", "1.png": "red", "2.png": "red", "3.png": "green"}
