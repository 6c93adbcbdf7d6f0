"""What an archive is: a folder, a list of paths in a CSV or Parquet file, or a bucket; and how its images are read."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from mango_grader.errors import MissingExtraError, UsageError
from mango_grader.runtime.grading.outputs import is_own
from mango_grader.runtime.images.names import is_clutter
from mango_grader.runtime.images.preprocess import ImageSource

_BUCKET = "s3://"
_COLUMN = "path"
_READ = 65_536  # rows of a list at a time


class ArchiveSource(Protocol):
    """Where the images of an archive are named; they are listed in a fixed order, without all being in memory."""

    @property
    def name(self) -> str:
        """The source as it is recorded."""

    def paths(self) -> Iterator[str]:
        """Yield the path or address of every image, always in the same order.

        Raises:
            UsageError: the source cannot be listed.
        """


def open_archive(name: str) -> ArchiveSource:
    """Return the archive of that name.

    Args:
        name: a folder, a .csv or .parquet file with a column "path", or s3://BUCKET/PREFIX.

    Raises:
        UsageError: there is nothing of that name, or it is of another kind.
    """
    if name.startswith(_BUCKET):
        return Bucket(name)
    path = Path(name)
    if path.is_dir():
        return Folder(str(path.absolute()))
    if not path.exists():
        raise UsageError(f"no such folder or list: {name}")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(
            f"{name} is no archive; name a folder, a .csv or .parquet list of paths, or s3://BUCKET/PREFIX"
        )
    return PathList(str(path.absolute()))


def read_image(path: str) -> ImageSource:
    """Return an image as a grader takes it: the path of a file, or the bytes of an object.

    Args:
        path: of a file, or s3://BUCKET/KEY.

    Raises:
        OSError: an object cannot be read.
    """
    if not path.startswith(_BUCKET):
        return path
    with _s3().open_input_file(path.removeprefix(_BUCKET)) as file:
        content: bytes = file.read()
    return content


@dataclass(frozen=True)
class Folder:
    """All files in a folder and its sub-folders, hidden ones and our own results left out.

    Attributes:
        name: path of the folder.
    """

    name: str

    def paths(self) -> Iterator[str]:
        """Yield the path of every file, folder by folder in the order of their names; links are not followed."""
        yield from self._below(self.name)

    def _below(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = sorted((one for one in found if not is_clutter(one.name)), key=lambda one: one.name)
        except OSError as error:
            if folder == self.name:
                raise UsageError(f"{folder}: {error.strerror}") from error
            yield folder  # it gets a row that says why
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(entry.path)
            elif not is_own(entry.path):
                yield entry.path


@dataclass(frozen=True)
class PathList:
    """The column "path" of a table; relative paths are relative to its folder.

    A CSV file is UTF-8, its fields end with commas, semicolons or tabs.

    Attributes:
        name: path of the .csv or .parquet file.
    """

    name: str

    def paths(self) -> Iterator[str]:
        """Yield the paths in the order of the rows; raises UsageError if the table cannot be read."""
        home, rows = Path(self.name).parent, self._csv_rows() if self.name.lower().endswith(".csv") else self._rows()
        try:
            for number, path in enumerate(rows, start=1):
                if not path or not isinstance(path, str):
                    raise UsageError(f"{self.name}: row {number} has no path")
                yield path if path.startswith(_BUCKET) else str(home / path)
        except (ValueError, csv.Error) as error:  # what pyarrow and the UTF-8 decoder raise are of the former
            raise UsageError(f"cannot read {self.name} as a table: {' '.join(str(error).split())}") from error

    def _csv_rows(self) -> Iterator[Any]:
        with Path(self.name).open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            table = csv.DictReader(file, delimiter=delimiter, skipinitialspace=True)
            self._require_column(table.fieldnames or [])
            yield from (row[_COLUMN] for row in table)

    def _rows(self) -> Iterator[Any]:
        pq = _pyarrow("pyarrow.parquet")
        with pq.ParquetFile(self.name) as table:
            self._require_column(table.schema_arrow.names)
            for batch in table.iter_batches(_READ, columns=[_COLUMN]):
                yield from batch.column(0).to_pylist()

    def _require_column(self, titles: Any) -> None:
        if _COLUMN not in titles:
            raise UsageError(f'{self.name} has no column "{_COLUMN}"; it has {", ".join(titles) or "none"}')


@dataclass(frozen=True)
class Bucket:
    """All objects of an S3 bucket below a prefix.

    Credentials, region and AWS_ENDPOINT_URL come from the environment, as for any program that uses S3.

    Attributes:
        name: s3://BUCKET or s3://BUCKET/PREFIX.
    """

    name: str

    def paths(self) -> Iterator[str]:
        """Yield the address of every object, prefix by prefix in the order of their names."""
        yield from self._below(self.name.removeprefix(_BUCKET).rstrip("/"), first=True)

    def _below(self, prefix: str, first: bool = False) -> Iterator[str]:
        fs = _pyarrow("pyarrow.fs")
        try:
            found = _s3().get_file_info(fs.FileSelector(prefix))
        except OSError as error:
            if first:
                raise UsageError(f"{self.name}: {' '.join(str(error).split())}") from error
            raise
        for entry in sorted(found, key=lambda one: one.path):
            if is_clutter(entry.base_name):
                continue
            if entry.type == fs.FileType.Directory:
                yield from self._below(entry.path)
            else:
                yield f"{_BUCKET}{entry.path}"


@cache
def _s3() -> Any:
    """Return the file system of all buckets, one for a process."""
    named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    scheme, _, host = (named or "").rpartition("://")
    where = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}  # pyarrow does not look itself
    return _pyarrow("pyarrow.fs").S3FileSystem(**where)


def _pyarrow(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError("an archive in Parquet or S3", "parquet") from error
