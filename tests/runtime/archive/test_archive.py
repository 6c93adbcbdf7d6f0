"""Archives of synthetic photos, graded in shards: every image has one row, whatever is killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import make_bundle
from click.testing import CliRunner, Result
from PIL import Image

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.runtime.archive import open_archive

COUNT, SHARD = 53, 10


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "model.mango")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of two days, with a file that is no image, a hidden one, and a name with a line break."""
    home = tmp_path_factory.mktemp("archive") / "photos"
    for number in range(COUNT - 2):
        folder = home / f"day{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (number * 4 % 256, 120, 40)).save(folder / f"{number:03}.png")
    (home / "day1" / "torn.jpg").write_bytes(b"torn")
    (home / "day1" / "two\nlines.png").write_bytes((home / "day1" / "001.png").read_bytes())
    (home / ".hidden.png").write_bytes(b"hidden")
    return home


def table(out: Path) -> list[dict[str, Any]]:
    """Return all rows as a program reads them that takes the folder for one table, without the time that they took."""
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return [{name: value for name, value in row.items() if not name.endswith("_ms")} for row in rows]


@pytest.fixture(scope="module")
def graded(photos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graded") / "rows"
    done = run("grade", photos, "--model", model, "--out", f"{out}/", "--shard-size", SHARD, "--workers", 1)
    assert done.exit_code == 3, done.output
    return out


def test_every_image_has_one_row_and_each_shard_a_file(graded: Path, photos: Path) -> None:
    rows = table(graded)
    files = sorted(path for path in photos.rglob("*") if path.is_file() and path.name[0] != ".")
    assert len(rows) == COUNT
    assert sorted(row["path"].replace("\\n", "\n") for row in rows) == sorted(map(str, files))
    assert len(list(graded.glob("part-*.parquet"))) == 6
    (wrong,) = [row for row in rows if row["error"]]
    assert wrong["path"].endswith("torn.jpg")
    summary = read_json(graded / "_summary.json")
    assert (summary["images"], summary["errors"]) == (COUNT, 1)
    assert sum(summary["grades"].values()) == COUNT - 1


def test_grades_are_those_of_a_grading_job(graded: Path, photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    run("grade", photos, "--recursive", "--model", model, "--out", out)
    job = {row["path"]: row for row in map(json.loads, out.read_text().splitlines())}
    for row in table(graded):
        for name, value in row.items():
            assert value == pytest.approx(job[row["path"]][name], abs=1e-6), (row["path"], name)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_list_names_the_images_of_its_folder(ending: str, photos: Path, model: Path, tmp_path: Path) -> None:
    names = ["day0/000.png", "day1/gone.png", str(photos / "day1" / "001.png")]
    listed = photos.parent / f"list.{ending}"
    if ending == "csv":
        listed.write_text("id,path\n" + "".join(f"{n},photos/{name}\n" for n, name in enumerate(names[:2])))
        listed.write_text(listed.read_text() + f"2,{names[2]}\n")
    else:
        pq.write_table(
            pa.table({"path": [*(f"photos/{name}" for name in names[:2]), names[2]], "id": [0, 1, 2]}), listed
        )
    done = run("grade", listed, "--model", model, "--out", f"{tmp_path}/rows/")
    assert done.exit_code == 3, done.output
    rows = table(tmp_path / "rows")
    assert [Path(row["path"]).name for row in rows] == ["000.png", "gone.png", "001.png"]
    assert [bool(row["error"]) for row in rows] == [False, True, False]


def test_a_killed_archive_goes_on_and_ends_the_same(graded: Path, photos: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows"
    command = [
        *(sys.executable, "-m", "mango_grader", "grade", str(photos), "--model", str(model), "--out", f"{out}/"),
        *("--shard-size", str(SHARD), "--progress", "none"),
    ]
    for shard in range(5):
        process = subprocess.Popen([*command, "--workers", "2", *(["--resume"] if shard else [])])
        while not (out / f"part-{shard:08}.parquet").exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "_counts").glob("*.json")}
    assert run(*command[3:], "--resume").exit_code == 3
    assert {name: (out / "_counts" / name).stat().st_mtime_ns for name in kept} == kept, "done shards are kept"
    assert table(out) == table(graded)
    assert read_json(out / "_summary.json")["grades"] == read_json(graded / "_summary.json")["grades"]
    done = run(*command[3:], "--resume")
    assert done.exit_code == 3
    assert not [path for path in out.rglob("*") if path.suffix == ".part"]


def test_what_was_begun_otherwise_is_not_continued(graded: Path, photos: Path, model: Path, tmp_path: Path) -> None:
    for options, says in (
        ((), "add --resume"),
        (("--resume", "--shard-size", 7), "another shard_size"),
        (("--resume", "--shard-size", SHARD, "--policy", "exit:1"), "another policy"),
    ):
        done = run("grade", photos, "--model", model, "--out", f"{graded}/", *options)
        assert done.exit_code == 2
        assert says in done.stderr
    (tmp_path / "notes.txt").write_text("mine")
    done = run("grade", photos, "--model", model, "--out", f"{tmp_path}/")
    assert done.exit_code == 2
    assert "is not empty" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--recursive"], "--recursive would be ignored"),
        (["--excel"], "--excel would be ignored"),
        (["--sort-into", "x"], "--sort-into would be ignored"),
        (["--on", "ray", "--workers", "2"], "--workers would be ignored"),
        (["--cores", "2"], "they are for --on ray"),
    ],
)
def test_options_of_files_are_refused(options: list[str], says: str, photos: Path, model: Path, tmp_path: Path) -> None:
    done = run("grade", photos, "--model", model, "--out", f"{tmp_path}/rows/", *options)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("options", [["--on", "ray"], ["--shard-size", "5"]])
def test_options_of_archives_are_refused_for_files(
    options: list[str], photos: Path, model: Path, tmp_path: Path
) -> None:
    done = run("grade", photos, "--model", model, "--out", tmp_path / "rows.csv", *options)
    assert done.exit_code == 2
    assert "with --out DIR/" in done.stderr


def test_a_list_without_paths_is_refused(tmp_path: Path, model: Path) -> None:
    (tmp_path / "list.csv").write_text("file\na.png\n")
    done = run("grade", tmp_path / "list.csv", "--model", model, "--out", f"{tmp_path}/rows/")
    assert done.exit_code == 2
    assert 'has no column "path"; it has file' in done.stderr


@pytest.mark.parametrize("written", ["path;grade\na.png;A\nb.png;B\n", "\ufeffgrade\tpath\nA\ta.png\nB\tb.png\n"])
def test_a_list_may_be_what_a_spreadsheet_saves(written: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(written, encoding="utf-8")
    listed = list(open_archive(str(tmp_path / "list.csv")).paths())
    assert listed == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("latin.csv", "path\nM\xfcller.png\n".encode("latin-1")),
        ("torn.parquet", b"PAR1 and then nothing"),
        ("quoted.csv", b'path\n"' + b"a" * 200_000 + b'"\n'),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_one_line(
    name: str, content: bytes, tmp_path: Path, model: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    done = run("grade", tmp_path / name, "--model", model, "--out", f"{tmp_path}/rows/")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: cannot read {tmp_path / name} as a table: ")
    assert "Traceback" not in done.stderr


def test_a_list_of_numbers_has_no_paths(tmp_path: Path, model: Path) -> None:
    pq.write_table(pa.table({"path": [1, 2]}), tmp_path / "list.parquet")
    done = run("grade", tmp_path / "list.parquet", "--model", model, "--out", f"{tmp_path}/rows/")
    assert done.exit_code == 2
    assert "row 1 has no path" in done.stderr


def test_a_folder_is_listed_in_a_fixed_order(photos: Path) -> None:
    listed = list(open_archive(str(photos)).paths())
    assert listed == list(open_archive(str(photos)).paths())
    assert [os.path.dirname(path)[-4:] for path in listed] == ["day0"] * 26 + ["day1"] * 27  # noqa: PTH120
