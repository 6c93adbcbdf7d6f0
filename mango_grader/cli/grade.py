"""`mango-grader grade`: folders of images in, one row per image out."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.options import FINISHED_WITH_ERRORS, model_option, progress_option, provider_option
from mango_grader.errors import UsageError
from mango_grader.progress import Progress

if TYPE_CHECKING:
    from mango_grader.runtime.grader import Grader
    from mango_grader.runtime.journal import Journal


@dataclass(frozen=True)
class _Results:
    """Where results go."""

    out: str | None
    resume: bool
    sort_into: str | None
    review_below: float | None
    contact_sheet: str | None
    excel: bool

    @property
    def journal(self) -> str:
        return f"{self.out}.journal"

    def own_files(self) -> list[str]:
        """Return what must not be taken for an image to grade."""
        mine = [self.sort_into, self.contact_sheet, *((self.out, self.journal) if self.out else ())]
        return [path for path in mine if path is not None]


@click.command(short_help="Grade images and folders with a .mango model.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@model_option
@click.option("--recursive", is_flag=True, help="Look into sub-folders, too.")
@click.option("--out", metavar="FILE", help="Write the rows to FILE: .csv, .jsonl or .parquet.")
@click.option("--excel", is_flag=True, help="Write a .csv that Excel opens: semicolons, decimal commas, UTF-8 mark.")
@click.option("--policy", metavar="full|exit:K|threshold", help="Where images may stop; the model's own by default.")
@click.option("--workers", type=click.IntRange(min=1), help="Images decoded and graded side by side; one per core.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run, or add new images to a finished one.")
@click.option("--sort-into", metavar="DIR", help="Copy each image into DIR/GRADE/, failed ones into DIR/_errors/.")
@click.option("--review-below", type=click.FloatRange(0, 1), metavar="P", help="Mark less sure grades for review.")
@click.option("--contact-sheet", metavar="FILE", help="Write thumbnails by grade into one HTML file.")
@provider_option
@click.option("--precision", type=click.Choice(["fp32", "int8"]), default="fp32", show_default=True)
@progress_option
@click.pass_context
def grade(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    model: str,
    recursive: bool,
    policy: str | None,
    workers: int | None,
    provider: str,
    precision: str,
    progress: Progress,
    **options: Any,
) -> None:
    """Grade images and folders with a .mango model; one row per image.

    A folder stands for every file in it whose name does not begin with a dot, images or not: what cannot be graded
    gets a row with its error. Rows are kept in FILE.journal as they come, and FILE is written from it at the end,
    sorted by path. Exit code 3 says that some rows have errors.
    """
    from mango_grader.runtime.grader import Grader
    from mango_grader.runtime.inputs import list_inputs

    results = _Results(**options)
    _check(results)
    inputs = list_inputs(paths, recursive=recursive, exclude=[model, *results.own_files()])
    grader = Grader.load(model, provider, precision, policy)
    with _journal(results, grader, precision) as journal:
        _grade(grader, journal, inputs, workers or _cores(), progress)
        failed = _report(results, grader, journal, progress)
        if not journal.finished:  # Only now: a run killed while it wrote its results is one to resume.
            journal.finish()
    ctx.exit(FINISHED_WITH_ERRORS if failed else 0)


def _check(results: _Results) -> None:
    from mango_grader.runtime.outputs import PAGE, check_replaceable
    from mango_grader.runtime.writers import check_output

    if results.contact_sheet is not None:
        check_replaceable(results.contact_sheet, PAGE)
    if results.excel and (results.out is None or Path(results.out).suffix.lower() != ".csv"):
        raise UsageError("--excel is about CSV; give --out FILE.csv")
    if results.out is None:
        if results.resume:
            raise UsageError("--resume continues a run with --out; give the same --out")
        return
    check_output(results.out)
    written, begun = Path(results.out).exists(), Path(results.journal).exists()
    if results.resume and written and not begun:
        raise UsageError(f"{results.out} cannot be continued: {results.journal} is gone; choose another --out")
    if not results.resume and written:
        raise UsageError(f"{results.out} exists; add --resume to continue it, or choose another --out")


@contextlib.contextmanager
def _journal(results: _Results, grader: "Grader", precision: str) -> "Iterator[Journal]":
    """Open the run's journal: beside --out, or in a temporary folder when rows are only shown."""
    from mango_grader.runtime.journal import Journal

    header = {"model": grader.bundle.digest, "policy": str(grader.policy), "precision": precision}
    if results.out is None:
        with tempfile.TemporaryDirectory() as folder, Journal.create(Path(folder, "journal"), header) as journal:
            yield journal
        return
    if not Path(results.journal).exists():
        with Journal.create(results.journal, header) as journal:
            yield journal
        return
    with Journal.open(results.journal) as old:
        if not results.resume and not old.finished:
            raise UsageError(f"{results.journal} is from an interrupted run; add --resume, or delete it")
        if results.resume and old.header != header:
            differs = ", ".join(key for key in header if old.header.get(key) != header[key])
            raise UsageError(f"{results.journal} was made with another {differs}; choose another --out")
        if results.resume:
            yield old
            return
    with Journal.create(results.journal, header) as journal:
        yield journal


def _grade(grader: "Grader", journal: "Journal", inputs: list[str], workers: int, progress: Progress) -> None:
    todo = [path for path in inputs if path not in journal]
    with progress.task("grading", len(inputs), len(inputs) - len(todo)) as task:
        for record in grader.grade_many(todo, workers=workers):
            journal.append(record)
            task.advance()


def _report(results: _Results, grader: "Grader", journal: "Journal", progress: Progress) -> int:
    """Write all results from the journal; return how many images have an error or could not be copied."""
    from mango_grader.runtime.records import one_line
    from mango_grader.runtime.sheet import write_sheet
    from mango_grader.runtime.sorting import sort_into
    from mango_grader.runtime.summary import Summary
    from mango_grader.runtime.writers import EXCEL, PLAIN, write_records

    classes, below = grader.manifest.classes, results.review_below
    uncopied = 0
    summary = Summary.of(journal.records(), below)
    if results.out is not None:
        write_records(results.out, classes, journal.records(), below, EXCEL if results.excel else PLAIN)
    if results.sort_into is not None:
        done = sort_into(results.sort_into, journal.records(), classes, below)
        uncopied = len(done.failed)
        for path in done.failed:
            progress.note(f"could not be copied: {one_line(path)}")
    if results.contact_sheet is not None:
        write_sheet(results.contact_sheet, journal.records(), classes, str(summary), below)
    if results.out is None:
        from mango_grader.cli.table import print_table

        print_table(journal.records(), summary, below)
    else:
        progress.note(f"{summary} → {one_line(results.out)}")
    return summary.errors + uncopied


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
