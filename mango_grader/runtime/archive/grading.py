"""Grading the shards of an archive, each a task of an executor."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

from mango_grader import files
from mango_grader.cores import ordered_map
from mango_grader.errors import MangoError
from mango_grader.executors import Crashed, Executor, Needs, Site, Task
from mango_grader.progress import Progress
from mango_grader.progress import Task as ProgressTask
from mango_grader.runtime.archive.archive import ArchiveFolder
from mango_grader.runtime.archive.sources import ArchiveSource, read_image
from mango_grader.runtime.grading.writers import write_records
from mango_grader.runtime.images.preprocess import ImageSource
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.records import Record, Summary

_TWICE = 20  # the last shard of so many is begun a second time
_READERS = 8  # objects of a bucket that are fetched at a time: most of their time is waiting


@dataclass(frozen=True)
class ModelChoice:
    """A model and how it answers; every process loads it for itself.

    Attributes:
        model: path of a .mango file, or of the folder of a finished run.
        provider: "cpu", "cuda" or "auto".
        precision: "fp32", "int8" or "auto".
        policy: exit policy; None is the bundle's own.
        decide: decision rule; None is the bundle's own.
    """

    model: str
    provider: str = "auto"
    precision: str = "fp32"
    policy: str | None = None
    decide: str | None = None

    def load(self, check: bool = True) -> Grader:
        """Return the loaded model; raises what `Grader.load` does.

        Args:
            check: whether to recompute the golden answers first.
        """
        return Grader.load(self.model, self.provider, self.precision, self.policy, self.decide, check=check)


class ShardsFailedError(MangoError):
    """Some shards of an archive could not be graded."""


def grade_archive(
    source: ArchiveSource,
    out: Path,
    choice: ModelChoice,
    *,
    shard_size: int,
    jobs: int,
    site: Site,
    progress: Progress,
    resume: bool = False,
    review_below: float | None = None,
) -> Summary:
    """Grade an archive into a folder of Parquet files, one for each shard, and return the counts.

    Args:
        source: the archive.
        out: the folder.
        choice: the model.
        shard_size: images of a shard, 1 or more.
        jobs: shards at a time on this machine.
        site: where shards are graded. Elsewhere than here, archive, model and folder must lie where all machines see
            them.
        progress: told what happens.
        resume: whether to go on where an earlier start ended; its shards are kept.
        review_below: confidence, 0..1; less sure grades are marked for review. None marks none.

    Raises:
        UsageError: the archive, the model or the folder cannot be used.
        ShardsFailedError: shards were lost with their machines time and again; the others are kept.
    """
    grader = choice.load()
    model = {
        "model": grader.bundle.digest, "policy": str(grader.policy), "decide": str(grader.rule),
        "precision": grader.model.precision, "review_below": str(review_below),
    }  # fmt: skip
    folder = ArchiveFolder(out.absolute())
    folder.path.mkdir(parents=True, exist_ok=True)
    with files.locked(folder.path / ".lock", f"another process grades into {out}; wait for it"):
        folder.clean()
        progress.note(f"listing the images of {source.name}")
        archive = folder.prepare(source, shard_size, model, resume)
        left = list(folder.missing(archive))
        done = archive.images - sum(archive.images_of(shard) for shard in left)
        with progress.task("grading", archive.images, done) as task, site.open(jobs) as executor:
            if executor.page is not None:
                progress.note(f"all shards at a glance: {executor.page}")
            perform = partial(grade_shard, folder, choice, review_below)
            needs = site.needs or Needs()
            tasks = [Task(f"part-{shard:08}", partial(perform, shard), needs, fresh=False) for shard in left]
            failed = _perform(executor, tasks, len(tasks) // _TWICE if site.on == "ray" else 0, task)
        folder.clean()
        if failed:
            name, reason = next(iter(failed.items()))
            raise ShardsFailedError(
                f"{len(failed)} of {archive.shards} shards failed, such as {name}: {reason}; try --resume"
            )
        total = folder.total(archive)
        files.write_json(folder.summary, {"source": archive.source, **model, **asdict(total)})
    return total


def _perform(executor: Executor, tasks: Sequence[Task], last: int, progress: ProgressTask) -> Mapping[str, str]:
    """Perform the tasks, and return why some of them failed, by name.

    The last ones are begun a second time, and the first to be done counts: otherwise all would wait for the slowest
    machine (the backup tasks of MapReduce, Dean and Ghemawat 2004, §3.6).
    """
    pending, failed = {task.name: task for task in tasks}, dict[str, str]()
    for task in tasks:
        executor.submit(task)
    for name, result in executor.gather():
        if pending.pop(name, None) is None:
            continue  # the other was faster
        if isinstance(result, Crashed):
            failed[name] = result.reason
        else:
            progress.advance(result)
        if not pending:
            break
        if len(pending) == last:
            for task in pending.values():
                executor.submit(task)
    return failed


def grade_shard(folder: ArchiveFolder, choice: ModelChoice, review_below: float | None, shard: int) -> int:
    """Grade one shard, write its rows and then its counts, whole or not at all, and return how many images it has.

    Two machines may do so at the same time: both write the same.

    Args:
        folder: of the archive.
        choice: the model.
        review_below: confidence, 0..1; less sure grades are marked for review. None marks none.
        shard: its number, from 0.
    """
    grader, paths, counts = _grader(choice), folder.images(shard), Summary()

    def counted() -> Iterator[Record]:
        for record in _records(grader, paths):
            counts.count(record, review_below)
            yield record

    write_records(folder.part(shard), grader.manifest.classes, counted(), review_below)
    files.write_json(folder.counts(shard), asdict(counts))
    return len(paths)


@cache
def _grader(choice: ModelChoice) -> Grader:
    """Return the model of this process, which its next shard finds loaded."""
    return choice.load(check=False)


def _records(grader: Grader, paths: list[str]) -> Iterator[Record]:
    """Yield a record for each image; one that cannot be read gets its error."""
    drawn: deque[tuple[str, str | None]] = deque()

    def images() -> Iterator[ImageSource]:
        remote = any(path.startswith("s3://") for path in paths)
        for path, (image, error) in zip(paths, ordered_map(_read, paths, _READERS if remote else 1), strict=True):
            drawn.append((path, error))
            yield image

    for record in grader.grade_many(images()):
        path, error = drawn.popleft()
        yield replace(record, path=path) if error is None else Record.failed(path, error, record.decode_ms)


def _read(path: str) -> tuple[ImageSource, str | None]:
    try:
        return read_image(path), None
    except OSError as error:
        return b"", f"cannot be read: {' '.join(str(error).split())}"
