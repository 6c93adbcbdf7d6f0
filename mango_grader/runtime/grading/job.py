"""A grading job: each row goes to a journal at once, and all results are written from the journal at the end."""

import os
import tempfile
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.grading.contact_sheet import write_sheet
from mango_grader.runtime.grading.explaining import Explained, Unexplained, check_explain, explain_into
from mango_grader.runtime.grading.items import ImageItem, Source, require_unique
from mango_grader.runtime.grading.journal import Entry, Journal
from mango_grader.runtime.grading.outputs import PAGE, check_replaceable
from mango_grader.runtime.grading.sorting import Uncopied, check_folder, sort_into
from mango_grader.runtime.grading.writers import EXCEL, PLAIN, check_output, write_records
from mango_grader.runtime.images.preprocess import ImageSource
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.records import Summary
from mango_grader.text import counted


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results that a job writes.

    Attributes:
        out: result file, .csv, .jsonl or .parquet; its journal lies beside it. None keeps the rows for the time of the
            job only.
        resume: whether to continue what `out` and its journal hold.
        excel: whether to write CSV for Excel.
        sort_into: folder for copies of the images, one folder per grade.
        contact_sheet: HTML file for thumbnails of the images.
        explain: folder for heat maps, one PNG per graded image.
        review_below: confidence, 0..1; less sure grades are marked for review. None marks none.
    """

    out: str | None = None
    resume: bool = False
    excel: bool = False
    sort_into: str | None = None
    contact_sheet: str | None = None
    explain: str | None = None
    review_below: float | None = None

    @property
    def journal(self) -> str:
        """Path of the file that keeps the rows as they come."""
        return f"{self.out}.journal"

    def own_files(self) -> list[str]:
        """Return the files and folders of the job, which must not be graded."""
        mine = [self.sort_into, self.contact_sheet, self.explain, *((self.out, self.journal) if self.out else ())]
        return [path for path in mine if path is not None]

    def check(self, inputs: Collection[str]) -> None:
        """Raise `UsageError` where options contradict each other, or a file that is not ours would be replaced.

        Args:
            inputs: paths of the images.
        """
        if self.excel and (self.out is None or Path(self.out).suffix.lower() != ".csv"):
            raise UsageError("--excel is for CSV; give --out FILE.csv")
        if self.resume and self.out is None:
            raise UsageError("--resume continues a job with --out; give the same --out")
        if self.contact_sheet is not None:
            check_replaceable(self.contact_sheet, PAGE)
        if self.out is not None:
            check_output(self.out)
        if self.sort_into is not None:
            check_folder(self.sort_into, inputs)
        if self.explain is not None:
            check_explain(self.explain, inputs)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        summary: counts over all rows.
        uncopied: images that could not be copied.
        unexplained: graded images without a heat map that was asked for.
    """

    summary: Summary
    uncopied: tuple[Uncopied, ...] = ()
    unexplained: tuple[Unexplained, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every image has a grade and, where asked for, a copy and a heat map."""
        return not self.summary.errors and not self.uncopied and not self.unexplained


@dataclass(frozen=True)
class Job:
    """Grades images into a journal, which survives a kill, and writes results from it.

    Attributes:
        grader: the model; a journal belongs to one model, exit policy, decision rule and precision.
        results: the results to write.

    Example:
        ```python
        import numpy as np

        from mango_grader.runtime import Grader, Job, Results, make_items

        job = Job(Grader.load("model.mango"), Results(out="rows.csv"))
        frames = [np.zeros((100, 120, 3), np.uint8), np.full((100, 120, 3), 255, np.uint8)]
        with job.opened() as journal:
            job.grade(journal, make_items(frames))
            print(job.write(journal).summary)
        ```
    """

    grader: Grader
    results: Results

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Open the job's journal: beside `out`, locked, or in a temporary folder where there is no `out`.

        Raises:
            UsageError: if another process works on the same `out`, or if what is there may be neither continued nor
                replaced; if the model has no heat maps that were asked for.
        """
        grader = self.grader
        if self.results.explain is not None:
            _ = grader.heat_maps
        header = {
            "model": grader.bundle.digest, "policy": str(grader.policy), "precision": grader.model.precision,
        }  # fmt: skip
        if (rule := str(grader.rule)) != "argmax":  # Journals of earlier versions name no rule.
            header["decide"] = rule
        out = self.results.out
        if out is None:
            with tempfile.TemporaryDirectory() as folder, Journal.create(Path(folder, "journal"), header) as journal:
                yield journal
            return
        home = Path(out).parent
        home.mkdir(parents=True, exist_ok=True)
        busy = f"another process writes {out}; wait for it, or choose another --out"
        with files.locked(home / f".{Path(out).name}.lock", busy), self._journal(out, header) as journal:
            yield journal

    def _journal(self, out: str, header: Mapping[str, str]) -> Journal:
        """Open or create the journal beside `out`, whose lock is held."""
        path, resume = self.results.journal, self.results.resume
        written, begun = _holds_something(out), Path(path).exists()
        if resume and written and not begun:
            raise UsageError(f"{out} cannot be continued: {path} is gone; choose another --out")
        if not resume and written:
            raise UsageError(f"{out} exists; add --resume to continue it, or choose another --out")
        if begun:
            journal = Journal.open(path)
            if resume and journal.header == header:
                return journal
            journal.close()
            if resume:
                names = header.keys() | journal.header.keys()
                differs = ", ".join(sorted(key for key in names if journal.header.get(key) != header.get(key)))
                raise UsageError(f"{path} was made with another {differs}; choose another --out")
            if not journal.finished:
                raise UsageError(f"{path} is from an interrupted job; add --resume, or delete it")
        return Journal.create(path, header)

    def grade(
        self, journal: Journal, items: Collection[ImageItem], workers: int = 1, progress: Progress | None = None
    ) -> None:
        """Grade those of `items` that have no current row in `journal`, and add their rows as they come.

        Args:
            journal: of `opened`.
            items: all images of the job, each with an id of its own.
            workers: number of threads that decode and infer, 1 or more.
            progress: where to report to; None reports nowhere.

        Raises:
            UsageError: if two items have the same id.
        """
        progress = progress or SilentProgress()
        require_unique(items)
        todo = journal.pending(items)
        if again := journal.forget(todo):
            progress.note(f"graded again because they changed or had an error: {counted(again, 'image')}")
        drawn: deque[tuple[ImageItem, Source | None]] = deque()

        def looked_at() -> Iterator[ImageSource]:
            for item in todo:
                drawn.append((item, None if item.file is None else Source.of(item.file)))
                yield item.image

        with progress.task("grading", len(items), len(items) - len(todo)) as task:
            graded = self.grader.grade_many(looked_at(), workers=workers)
            for record in graded:
                item, source = drawn.popleft()
                journal.append(Entry(item.id, replace(record, path=item.path), source))
                task.advance()

    def write(self, journal: Journal, workers: int = 1) -> Outcome:
        """Write all results from the journal, then mark it as finished.

        A job that is killed while it writes is thus one to resume.

        Args:
            journal: of `opened`.
            workers: number of threads that draw heat maps, 1 or more.
        """
        results, classes, below = self.results, self.grader.manifest.classes, self.results.review_below
        summary = Summary.of(journal.records(), below)
        uncopied: tuple[Uncopied, ...] = ()
        if results.out is not None:
            write_records(results.out, classes, journal.records(), below, EXCEL if results.excel else PLAIN)
        if results.sort_into is not None:
            uncopied = sort_into(results.sort_into, journal.entries(), classes, below, results.out).failed
        explained = Explained({}, ())
        if results.explain is not None:
            explained = explain_into(results.explain, journal.entries(), self.grader, workers)
        if results.contact_sheet is not None:
            write_sheet(results.contact_sheet, journal.records(), classes, str(summary), below, explained.overlays)
        if not journal.finished:
            journal.finish()
        return Outcome(summary, uncopied, explained.failed)


def _holds_something(path: str) -> bool:
    return os.path.lexists(path) and not (os.path.isfile(path) and not os.path.getsize(path))  # noqa: PTH113, PTH202
