"""`mango-grader grade --out DIR/`: an archive into a folder of Parquet files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mango_grader.cores import usable_cores
from mango_grader.errors import UsageError
from mango_grader.executors import Site
from mango_grader.progress import Progress
from mango_grader.runtime.archive import ModelChoice, grade_archive, open_archive

_SHARD = 10_000
_OF_FILES = ("files_from", "recursive", "excel", "sort_into", "contact_sheet", "explain")


@dataclass(frozen=True)
class Request:
    """What of the command line is about the archive.

    Attributes:
        paths: what was named to grade; one archive.
        model: its path, provider, precision, exit policy and decision rule.
        shard_size: images of a shard; None for the usual number.
        workers: shards at a time on this machine; None for one on each core.
        site: where shards are graded.
    """

    paths: tuple[str, ...]
    model: tuple[str, str, str, str | None, str | None]
    shard_size: int | None
    workers: int | None
    site: Site


def grade_into_folder(request: Request, options: Mapping[str, Any], progress: Progress) -> bool:
    """Grade an archive, and return whether every image has a grade.

    Args:
        request: what is graded and where.
        options: all others of the command, by name.
        progress: told what happens.

    Raises:
        UsageError: there is not exactly one archive, or an option would be ignored.
    """
    if ignored := [f"--{name.replace('_', '-')}" for name in _OF_FILES if options.get(name)]:
        raise UsageError(f"{ignored[0]} would be ignored: with --out DIR/ an archive is graded; leave it out")
    if request.site.on == "ray" and request.workers is not None:
        raise UsageError(
            "--workers would be ignored: Ray grades as many shards at a time as fit; state --cores instead"
        )
    if len(request.paths) != 1:
        raise UsageError("with --out DIR/, name one archive: a folder, a .csv or .parquet list, or s3://BUCKET/PREFIX")
    out = str(options["out"])
    summary = grade_archive(
        open_archive(request.paths[0]),
        Path(out),
        ModelChoice(str(Path(request.model[0]).absolute()), *request.model[1:]),
        shard_size=request.shard_size or _SHARD,
        jobs=request.workers or usable_cores(),
        site=request.site,
        progress=progress,
        resume=bool(options["resume"]),
        review_below=options["review_below"],
    )
    progress.note(f"{summary} → {out}")
    return not summary.errors
