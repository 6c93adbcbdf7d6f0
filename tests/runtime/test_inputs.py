import os
from pathlib import Path

import pytest

from mango_grader.errors import UsageError
from mango_grader.runtime.inputs import list_inputs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.png", "notes.txt", ".hidden.jpg", "sub/c.jpg", "sub/.git/d.jpg", "odd.jpg/e.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


def names(tree: Path, **options: object) -> list[str]:
    return [os.path.relpath(path, tree) for path in list_inputs([str(tree)], **options)]  # type: ignore[arg-type]


def test_a_folder_means_everything_in_it_that_is_not_hidden(tree: Path) -> None:
    assert names(tree) == ["a.png", "b.jpg", "broken.jpg", "fifo", "loop", "notes.txt", "odd.jpg"]


def test_recursive_goes_below_but_never_through_links(tree: Path) -> None:
    below = ["odd.jpg", "odd.jpg/e.jpg", "round", "sub/c.jpg"]
    assert names(tree, recursive=True) == ["a.png", "b.jpg", "broken.jpg", "fifo", "loop", "notes.txt", *below]


def test_own_results_are_left_out(tree: Path) -> None:
    (tree / "again.jpg").symlink_to(tree / "b.jpg")
    left = names(tree, recursive=True, exclude=[tree / "sub", str(tree / "notes.txt"), tree / "b.jpg", "/not/there"])
    assert left == ["a.png", "broken.jpg", "fifo", "loop", "odd.jpg", "odd.jpg/e.jpg", "round"]


def test_files_stand_for_themselves_once_and_in_order(tree: Path) -> None:
    files = [str(tree / name) for name in ("b.jpg", ".hidden.jpg", "broken.jpg", "b.jpg")]
    assert list_inputs([*files, str(tree / "sub")]) == sorted({*files, str(tree / "sub" / "c.jpg")})


def test_the_spelling_of_a_path_is_kept(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert list_inputs(["./sub"]) == ["./sub/c.jpg"]
    assert list_inputs(["sub"]) == ["sub/c.jpg"]


def test_a_path_that_does_not_exist_is_a_usage_error(tree: Path) -> None:
    with pytest.raises(UsageError, match=r"no such file or folder: .*typo"):
        list_inputs([str(tree), str(tree / "typo")])


def test_nothing_to_grade_hints_at_recursive(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError, match="add --recursive"):
        list_inputs([str(tmp_path)])
    with pytest.raises(UsageError, match="nothing to grade"):
        list_inputs([str(tmp_path)], recursive=True)
