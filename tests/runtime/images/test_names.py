from pathlib import Path

import pytest
from photos import write_folders, write_photo

from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.runtime.grading.inputs import list_inputs
from mango_grader.runtime.images.names import is_clutter

FOLDERS = (
    *("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX", ".Trashes"),
    *("FOUND.000", "@Recycle"),
)
FILES = ("Thumbs.db", "desktop.ini", "DESKTOP.INI", ".DS_Store", "._0001.png", "~$labels.csv", "ehthumbs.db")


def test_what_systems_leave_behind_is_no_class_and_gets_no_row(tmp_path: Path) -> None:
    write_folders(tmp_path, {"A": 1, "B": 1})
    for seed, name in enumerate(FOLDERS):
        write_photo(tmp_path / name / "0001.png", seed)
        write_photo(tmp_path / "A" / name / "0001.png", seed)
    for name in FILES:
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / "A" / name).write_bytes(b"x")
    data = read_dataset(tmp_path)
    assert (data.classes, data.paths, data.findings) == (("A", "B"), ["A/0001.png", "B/0002.png"], ())
    assert list_inputs([str(tmp_path)], recursive=True) == [str(tmp_path / path) for path in data.paths]
    for pattern in ("**/*.png", "*/*.png", "**/*.*"):
        assert list_inputs([str(tmp_path / pattern)]) == [str(tmp_path / path) for path in data.paths], pattern
    with pytest.raises(UsageError, match="nothing to grade"):
        list_inputs([str(tmp_path)])


def test_clutter_that_is_named_outright_is_graded(tmp_path: Path) -> None:
    image = write_photo(tmp_path / "@eaDir" / "0001.png", 1)
    assert list_inputs([str(image.parent)]) == [str(image)]
    assert list_inputs([str(image.parent / "*.png")]) == [str(image)]
    file = tmp_path / "Thumbs.db"
    file.write_bytes(b"x")
    assert list_inputs([str(file)]) == [str(file)]


@pytest.mark.parametrize("name", ["A", "found", "FOUND.1", "lost", "thumbs.jpg", "recycled", "#1", "@home", "$", "~"])
def test_names_of_classes_are_no_clutter(name: str) -> None:
    assert not is_clutter(name)
