"""The folder that an archive is graded into: which images each shard has, and which shards are done."""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mango_grader import files
from mango_grader.errors import UsageError
from mango_grader.runtime.archive.sources import ArchiveSource
from mango_grader.runtime.inference.records import Summary

_KIND = "mango-grader archive 1"


@dataclass(frozen=True)
class Archive:
    """What is graded, fixed before the first image is.

    Attributes:
        source: name of the archive.
        images: how many it holds.
        shard_size: images of a shard, 1 or more; the last has what is left.
        model: what grades, by name: digest of the bundle, exit policy, decision rule, precision.
    """

    source: str
    images: int
    shard_size: int
    model: Mapping[str, str]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.images // self.shard_size)

    def images_of(self, shard: int) -> int:
        """Return how many images a shard has.

        Args:
            shard: its number, from 0.
        """
        return min(self.shard_size, self.images - shard * self.shard_size)


@dataclass(frozen=True)
class ArchiveFolder:
    """The folder with a Parquet file for each shard, and what is needed to go on.

    Names that begin with an underscore are left out by programs that read a folder of Parquet files as one table.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def summary(self) -> Path:
        """The file with the counts over all rows."""
        return self.path / "_summary.json"

    @property
    def record(self) -> Path:
        """The file that tells what is graded; it is written when all images are listed."""
        return self.path / "_archive.json"

    def part(self, shard: int) -> Path:
        """Return the file with the rows of a shard.

        Args:
            shard: its number, from 0.
        """
        return self.path / f"part-{shard:08}.parquet"

    def counts(self, shard: int) -> Path:
        """Return the file with the counts of a shard, which is written after its rows: with it, the shard is done."""
        return self.path / "_counts" / f"part-{shard:08}.json"

    def images(self, shard: int) -> list[str]:
        """Return the paths of a shard's images."""
        return [os.fsdecode(path) for path in self._list(shard).read_bytes().split(b"\0")]

    def prepare(self, source: ArchiveSource, shard_size: int, model: Mapping[str, str], resume: bool) -> Archive:
        """List the images in shards, or take over the lists of an earlier start.

        Args:
            source: the archive.
            shard_size: images of a shard, 1 or more.
            model: what grades.
            resume: whether the folder may hold a begun archive.

        Raises:
            UsageError: the folder holds something else, or the archive was begun with another model or size.
        """
        if self.record.exists():
            if not resume:
                raise UsageError(
                    f"{self.path} holds a graded archive; add --resume to continue it, or choose another --out"
                )
            return self._resumed(source, shard_size, model)
        if self.path.exists() and any(one.name != "_images" and one.name[0] != "." for one in self.path.iterdir()):
            raise UsageError(f"--out {self.path} is not empty; choose a new folder")
        count, left = 0, source.paths()
        for shard in itertools.count():
            if not (listed := list(itertools.islice(left, shard_size))):
                break
            files.write_bytes(self._list(shard), b"\0".join(map(os.fsencode, listed)))
            count += len(listed)
        if not count:
            raise UsageError(f"nothing to grade in {source.name}")
        archive = Archive(source.name, count, shard_size, dict(model))
        files.write_json(self.record, {"kind": _KIND, **asdict(archive)})
        return archive

    def _resumed(self, source: ArchiveSource, shard_size: int, model: Mapping[str, str]) -> Archive:
        kept: dict[str, Any] = files.read_json(self.record)
        if kept.pop("kind", None) != _KIND:
            raise UsageError(f"{self.record} is not of a version that can be continued")
        archive = Archive(**kept)
        now = {"source": source.name, "shard_size": shard_size, **model}
        before = {"source": archive.source, "shard_size": archive.shard_size, **archive.model}
        if differs := sorted(name for name in now if now[name] != before.get(name)):
            raise UsageError(f"{self.path} was begun with another {', '.join(differs)}; choose another --out")
        return archive

    def clean(self) -> None:
        """Remove what processes that were killed, or lost with their machine, had not finished writing."""
        for torn in self.path.rglob(".*.part"):
            torn.unlink(missing_ok=True)

    def missing(self, archive: Archive) -> Iterator[int]:
        """Yield the numbers of the shards that are not done.

        Args:
            archive: what is graded.
        """
        return (n for n in range(archive.shards) if not (self.counts(n).exists() and self.part(n).exists()))

    def total(self, archive: Archive) -> Summary:
        """Return the counts over all shards, each of which is done.

        Args:
            archive: what is graded.
        """
        total = Summary()
        for shard in range(archive.shards):
            total.add(Summary.from_dict(files.read_json(self.counts(shard))))
        return total

    def _list(self, shard: int) -> Path:
        return self.path / "_images" / f"part-{shard:08}"
