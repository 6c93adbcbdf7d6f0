"""`mango-grader grade`: images and folders of them in, one row per image out."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mango_grader.cli.interrupts import continuing, resumable
from mango_grader.cli.options import (
    chosen_precision,
    decide_option,
    finish,
    model_option,
    policy_option,
    precision_option,
    progress_option,
    provider_option,
)
from mango_grader.cli.sites import site_options
from mango_grader.cores import usable_cores
from mango_grader.errors import UsageError
from mango_grader.executors import Site
from mango_grader.progress import Progress
from mango_grader.text import one_line

if TYPE_CHECKING:
    from mango_grader.runtime.grading.items import FileItems, ImageItem
    from mango_grader.runtime.grading.job import Results

_STDIN = "-"


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@model_option
@click.option("--files-from", metavar="FILE", help="Also grade the paths in FILE, one per line; - is standard input.")
@click.option("--recursive", is_flag=True, help="Include sub-folders.")
@click.option(
    "--out",
    metavar="FILE|DIR/",
    help="Write the rows to FILE: .csv, .jsonl or .parquet; or to a folder of Parquet files, one for each shard.",
)
@click.option("--shard-size", type=click.IntRange(min=1), help="Images of a shard, with --out DIR/.  [default: 10000]")
@site_options
@click.option("--excel", is_flag=True, help="Write a .csv for Excel: semicolons, decimal commas, byte order mark.")
@policy_option("Exit policy: when to stop.")
@decide_option("Decision rule: what to answer, and what to ask a person.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of threads; one per core by default.")
@click.option("--resume", is_flag=True, help="Continue a job: grade new, changed and failed images.")
@click.option("--sort-into", metavar="DIR", help="Copy each image into DIR/GRADE/, failed ones into DIR/_errors/.")
@click.option(
    "--review-below", type=click.FloatRange(0, 1), metavar="P", help="Mark grades below this confidence for review."
)
@click.option("--contact-sheet", metavar="FILE", help="Write one HTML page of thumbnails, by grade.")
@click.option("--explain", metavar="DIR", help="Write a heat map for each graded image to DIR: where its grade shows.")
@provider_option
@precision_option
@progress_option
@click.pass_context
def grade(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    model: str,
    files_from: str | None,
    recursive: bool,
    policy: str | None,
    decide: str | None,
    workers: int | None,
    provider: str,
    precision: str,
    progress: Progress,
    shard_size: int | None,
    site: Site,
    **options: Any,
) -> None:
    """Grade images and folders with a .mango model; one row per image.

    A folder means every file in it except hidden ones; a file that is not an image gets a row with an error. A pattern
    in quotes, "day*/*.jpg" or "**/*.jpg", means the files that match it. A file that is named twice gets one row.
    --files-from also reads the output of find -print0. PATH - grades one image from standard input.

    Rows are kept in FILE.journal as they come, and FILE is written from it at the end, sorted by path. Exit code 3
    means that some rows have errors.

    With --out DIR/, PATH is an archive of any size: a folder, a .csv or .parquet list with a column path, or
    s3://BUCKET/PREFIX. Each shard becomes one Parquet file; --workers shards are graded at a time, on Ray as many as
    fit.
    """
    out = options["out"]
    if out is not None and (out.endswith(("/", os.sep)) or Path(out).is_dir()):
        from mango_grader.cli.archive import Request, grade_into_folder

        used = chosen_precision(model, provider, precision, progress)
        request = Request(paths, (model, provider, used, policy, decide), shard_size, workers, site)
        with resumable(lambda: continuing(ctx, "grade", paths)):
            finish(grade_into_folder(request, {"files_from": files_from, "recursive": recursive, **options}, progress))
    if site.on != "local" or shard_size is not None:
        raise UsageError("--on ray and --shard-size would be ignored: they are for an archive, with --out DIR/")
    from mango_grader.runtime.grading.job import Job, Results
    from mango_grader.runtime.inference.grader import Grader

    results = Results(**options)
    items = _items(paths, files_from, recursive, [model, *_price_files(decide)], results)
    results.check([] if isinstance(items, list) else items.files)
    grader = Grader.load(model, provider, chosen_precision(model, provider, precision, progress), policy, decide)
    if grader.warning is not None:
        progress.note(f"warning: {grader.warning}")
    job = Job(grader, results)
    with resumable(lambda: _again(ctx, results)), job.opened() as journal:
        job.grade(journal, items, workers or usable_cores(), progress)
        outcome = job.write(journal, workers or usable_cores())
        for one in outcome.uncopied:
            progress.note(f"could not be copied: {one_line(one.path)}: {one_line(one.reason)}")
        for missing in outcome.unexplained:
            progress.note(f"without a heat map: {one_line(missing.path)}: {one_line(missing.reason)}")
        if results.out is None:
            from mango_grader.cli.console import print_table

            print_table(journal.records(), outcome.summary, results.review_below)
        else:
            progress.note(f"{outcome.summary} → {one_line(results.out)}")
    finish(outcome.sound)


def _items(
    paths: tuple[str, ...], files_from: str | None, recursive: bool, read: list[str], results: "Results"
) -> "list[ImageItem] | FileItems":
    """Return the images to grade; `read` are files that the command reads itself."""
    from mango_grader.runtime.grading.inputs import list_inputs, parse_list
    from mango_grader.runtime.grading.items import FileItems, ImageItem

    if _STDIN in paths:
        asked = {
            "other paths": len(paths) > 1, "--files-from": files_from is not None, "--recursive": recursive,
            "--resume": results.resume, "--sort-into": results.sort_into is not None,
            "--contact-sheet": results.contact_sheet is not None, "--explain": results.explain is not None,
        }  # fmt: skip
        if clash := [name for name, given in asked.items() if given]:
            raise UsageError(f"PATH - is one image from standard input, without {clash[0]}; ./- is a file of that name")
        return [ImageItem(_STDIN, _standard_input("an image"))]
    if not paths and files_from is None:
        raise UsageError("nothing to grade: name images or folders, or a list of them with --files-from")
    listed = [] if files_from is None else parse_list(_read(files_from))
    listed = [os.path.join(os.curdir, path) if path == _STDIN else path for path in listed]  # noqa: PTH118
    exclude = [*read, *results.own_files(), *([] if files_from in (None, _STDIN) else [str(files_from)])]
    return FileItems(list_inputs(paths, listed=listed, recursive=recursive, exclude=exclude))


def _price_files(decide: str | None) -> list[str]:
    from mango_grader.runtime.decisions.cost import price_file

    path = None if decide is None else price_file(decide)
    return [] if path is None else [path]


def _read(files_from: str) -> bytes:
    if files_from == _STDIN:
        return _standard_input("a list of paths")
    try:
        return Path(files_from).read_bytes()
    except OSError as error:
        raise UsageError(f"--files-from {files_from}: {str(error.strerror).lower()}") from error


def _standard_input(what: str) -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(f"standard input is closed or a terminal; pipe {what} into it")
    return sys.stdin.buffer.read()


def _again(ctx: click.Context, results: "Results") -> str | None:
    """Return the command that continues this one; None if no rows are kept."""
    paths = ctx.params["paths"]
    if results.out is None or _STDIN in paths:
        return None
    return continuing(ctx, "grade", paths)
