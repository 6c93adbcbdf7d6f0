"""A grading job without a command line: images that come without a file."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, solid

from mango_grader.errors import UsageError
from mango_grader.runtime import Grader, ImageItem, Job, Outcome, Results, make_items
from mango_grader.runtime.grading.journal import Entry, Journal

GRADES = [*CLASSES, *CLASSES][:5]
ARRAYS = [solid(name) for name in GRADES]

# A process that kills itself as soon as so many rows are journalled.
KILLED = """
import os, signal, sys
import numpy as np
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Grader, Job, Results, make_items

class Killing(SilentProgress):
    def task(self, name, total, done=0):
        print("to grade:", total - done, flush=True)
        return Task()

class Task:
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def advance(self):
        if len(journal) == int(rows):
            os.kill(os.getpid(), signal.SIGKILL)

model, arrays, out, rows = sys.argv[1:]
job = Job(Grader.load(model), Results(out=out, resume=True))
with job.opened() as journal:
    job.grade(journal, make_items(np.load(arrays)), 1, Killing())
    job.write(journal)
"""


def run(bundle: Path, items: list[ImageItem], results: Results) -> tuple[Outcome, list[Entry]]:
    job = Job(Grader.load(bundle), results)
    with job.opened() as journal:
        job.grade(journal, items)
        return job.write(journal), list(journal.entries())


def rows(path: Path) -> list[list[str]]:
    """Return path and grade of each row."""
    return [line.split(",")[:2] for line in path.read_text().splitlines()[1:]]


def test_five_arrays_are_five_rows(bundle: Path, tmp_path: Path) -> None:
    outcome, entries = run(bundle, make_items(ARRAYS), Results(out=str(tmp_path / "rows.csv")))
    assert outcome.summary.images == 5
    assert [entry.id for entry in entries] == ["000001", "000002", "000003", "000004", "000005"]
    assert rows(tmp_path / "rows.csv") == [[entry.id, grade] for entry, grade in zip(entries, GRADES, strict=True)]


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_five_arrays_killed_and_resumed_are_five_rows(bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "arrays.npy", np.stack(ARRAYS))
    command = [sys.executable, "-c", KILLED, str(bundle), str(tmp_path / "arrays.npy"), str(tmp_path / "rows.csv")]
    killed = subprocess.run([*command, "3"], capture_output=True, text=True, check=False, timeout=600)
    assert (killed.returncode, killed.stdout) == (-9, "to grade: 5\n"), killed.stderr
    resumed = subprocess.run([*command, "0"], capture_output=True, text=True, check=False, timeout=600)
    assert (resumed.returncode, resumed.stdout) == (0, "to grade: 2\n"), resumed.stderr
    assert [grade for _, grade in rows(tmp_path / "rows.csv")] == GRADES


def test_records_of_a_grader_that_their_caller_numbers_keep_their_rows(bundle: Path, tmp_path: Path) -> None:
    with Journal.create(tmp_path / "journal", {}) as journal:
        for number, record in enumerate(Grader.load(bundle).grade_many(ARRAYS)):
            journal.append(Entry(f"fruit {number}", record))
    with Journal.open(tmp_path / "journal") as journal:
        assert [entry.id for entry in journal.entries()] == [f"fruit {number}" for number in range(5)]
        assert [record.grade for record in journal.records()] == GRADES


def test_files_and_arrays_share_a_job(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.png").write_bytes(b"bad")
    _, entries = run(bundle, make_items([ARRAYS[0], "bad.png", b"bad", io.BytesIO(b"bad")]), Results())
    assert [(entry.id, entry.record.path, entry.source is None) for entry in entries] == [
        ("000001", "000001", True),
        ("000003", "000003", True),
        ("000004", "000004", True),
        (str(tmp_path.resolve() / "bad.png"), "bad.png", False),
    ]


def test_two_images_with_one_id_are_refused(bundle: Path) -> None:
    with pytest.raises(UsageError, match="two images have the id 'fruit 7'"):
        run(bundle, [ImageItem("fruit 7", ARRAYS[0]), ImageItem("fruit 7", ARRAYS[1])], Results())
