"""The images of a job, each with an id of its own."""

from pathlib import Path

import pytest

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.items import FileItems, ImageItem, Source, require_unique


def test_items_of_files_are_made_as_they_are_asked_for(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a", "b")]
    items = FileItems(files)
    assert list(items) == list(items) == [ImageItem.of_file(file) for file in files]
    assert len(items) == 2
    assert ImageItem.of_file(files[1]) in items
    assert ImageItem.of_file(str(tmp_path / "c")) not in items
    require_unique(items)


def test_two_items_of_one_id_are_refused() -> None:
    require_unique([ImageItem("1", b""), ImageItem("2", b"")])
    with pytest.raises(UsageError, match="two images have the id '1'"):
        require_unique([ImageItem("1", b""), ImageItem("1", b"")])


def test_a_source_is_written_and_read_as_plain_values(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12")
    source = Source.of(str(tmp_path / "a"))
    assert source.to_dict() == {"file": source.file, "size": 2, "mtime_ns": (tmp_path / "a").stat().st_mtime_ns}
    assert Source(**source.to_dict()) == source
