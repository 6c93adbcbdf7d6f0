"""Writes files whole or not at all, and reads and writes JSON in one way."""

import csv
import errno
import hashlib
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mango_grader.errors import FormatError, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def locked(path: str | os.PathLike[str], busy: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock file for this process, on any system; a killed process releases it, and the file itself stays.

    Args:
        path: of the lock file.
        busy: message of the error if another process holds the lock.
        wait: seconds to wait for the lock, 0 or more.

    Raises:
        UsageError: if the lock does not become free in time.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait)
    except Timeout as error:
        raise UsageError(busy) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that replaces `path`, synced to disk, only if the body succeeds.

    A full disk raises an OSError that names `path`.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _naming(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Let the error of a full disk name the file to write; Python names the temporary one, or none."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically.

    Args:
        path: of the file; its folder is made if needed.
        data: the whole content.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 file atomically.

    Args:
        path: of the file; its folder is made if needed.
        text: the whole content.
    """
    write_bytes(path, text.encode())


def write_csv(path: str | os.PathLike[str], titles: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV in UTF-8 atomically, with a line feed after each row.

    Args:
        path: of the file; its folder is made if needed.
        titles: of the columns.
        rows: values in the order of the titles.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def to_json(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """Return JSON that every reader accepts: NaN and infinities, which JSON does not have, become null.

    Args:
        value: of Python's own types.
        indent: spaces per level; None writes one line.
        ensure_ascii: whether to escape characters beyond ASCII.
    """
    try:
        return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(value), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write an indented JSON file in UTF-8 atomically; NaN and infinities become null.

    Args:
        path: of the file; its folder is made if needed.
        value: of Python's own types.
    """
    with replacing(path) as temporary:
        try:
            _write_json(temporary, value)
        except ValueError:
            _write_json(temporary, _without_nan(value))


def _write_json(path: Path, value: Any) -> None:
    """Write piece by piece: the text of a large data set's record takes more memory than the record."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file in UTF-8; raise `FormatError` if it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path} is not JSON: it is damaged, or was changed by hand ({error})") from error


def cut_torn_line(path: str | os.PathLike[str]) -> bool:
    """Cut off what follows the last line break, as a kill leaves it; return whether there was something.

    Args:
        path: of a file of lines.
    """
    with Path(path).open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        keep, block = size, 1 << 16
        while keep:
            begin = max(keep - block, 0)
            file.seek(begin)
            found = file.read(keep - begin).rfind(b"\n")
            keep = begin if found < 0 else begin + found + 1
            if found >= 0:
                break
        if keep < size:
            file.truncate(keep)
    return keep < size


def user_cache() -> Path:
    """Return the folder for what can be measured or made again: in `XDG_CACHE_HOME`, else in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mango-grader"


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
