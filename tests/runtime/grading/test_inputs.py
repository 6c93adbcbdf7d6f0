import os
from pathlib import Path

import pytest

from mango_grader.errors import UsageError
from mango_grader.runtime.grading.inputs import list_inputs, parse_list


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


def test_a_file_is_listed_once_however_it_is_spelled(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert list_inputs(["sub", "./sub", str(tree / "sub"), "odd.jpg/../sub/c.jpg"]) == ["sub/c.jpg"]
    assert list_inputs(["./sub/c.jpg", "sub"]) == ["./sub/c.jpg"]
    (tree / "again.jpg").symlink_to("sub/c.jpg")
    assert list_inputs(["again.jpg", "sub"]) == ["again.jpg"], "the first spelling is kept"
    (tree / "sub" / "0.jpg").symlink_to("c.jpg")
    assert list_inputs(["sub"]) == ["sub/c.jpg"], "in a folder, the file itself"


def test_links_that_lead_nowhere_and_hard_links_each_count(tree: Path) -> None:
    (tree / "broken2.jpg").symlink_to("nowhere")
    os.link(tree / "a.png", tree / "a2.png")
    found = names(tree)
    assert {"broken.jpg", "broken2.jpg", "a.png", "a2.png"} <= set(found)


def test_a_pattern_stands_for_what_it_matches(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "round2").symlink_to(tree)
    assert list_inputs([f"{tree}/*.png", f"{tree}/**/c.*"]) == [f"{tree}/a.png", f"{tree}/sub/c.jpg"]
    assert list_inputs([f"{tree}/s*/**"]) == [f"{tree}/sub/c.jpg"]
    assert list_inputs([f"{tree}/**/*.jpg"]) == [
        f"{tree}/{one}" for one in ("b.jpg", "broken.jpg", "odd.jpg/e.jpg", "sub/c.jpg")
    ]
    monkeypatch.chdir(tree)
    assert list_inputs(["**/[bc].jpg"]) == ["b.jpg", "sub/c.jpg"]
    assert list_inputs([f"{tree}/su*"]) == [f"{tree}/sub/c.jpg"], "a folder that matches stands for its files"
    with pytest.raises(UsageError, match=r"nothing matches .*\*\.tif"):
        list_inputs([f"{tree}/*.tif"])
    literal = tree / "a[1]*.jpg"
    literal.write_bytes(b"")
    (tree / "a1x.jpg").write_bytes(b"")
    assert list_inputs([str(literal)]) == [str(literal)], "a file of that very name comes first"


def test_own_results_are_left_out_where_a_pattern_or_the_shell_names_them(tree: Path) -> None:
    paths = [f"{tree}/*.png", str(tree / "notes.txt"), str(tree / "a.png")]
    assert list_inputs(paths, exclude=[tree / "notes.txt"]) == [str(tree / "a.png")]


def test_what_a_list_names_and_is_gone_keeps_its_place(tree: Path) -> None:
    listed = [str(tree / "gone.jpg"), str(tree / "a*.png"), str(tree / "sub")]
    assert list_inputs([], listed=listed) == sorted([*listed[:2], str(tree / "sub" / "c.jpg")])
    assert list_inputs([str(tree / "a.png")], listed=listed[2:]) == [str(tree / "a.png"), str(tree / "sub" / "c.jpg")]
    with pytest.raises(UsageError, match=r"no path in the list exists, such as gone\.jpg; its paths are relative to /"):
        list_inputs([], listed=["gone.jpg", "too.jpg"])


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"a.jpg\nb c.jpg\n", ["a.jpg", "b c.jpg"]),
        (b"a.jpg\r\n\r\nb.jpg", ["a.jpg", "b.jpg"]),
        (b"a\nb.jpg\0c.jpg\0", ["a\nb.jpg", "c.jpg"]),
        (b"caf\xe9.jpg\n", ["caf\udce9.jpg"]),
        ("\ufeffä.jpg\n".encode(), ["ä.jpg"]),
        ("\ufeffä.jpg\r\n芒果.jpg\r\n".encode("utf-16-le"), ["ä.jpg", "芒果.jpg"]),
        (b"#1.jpg\n -x.jpg\n", ["#1.jpg", " -x.jpg"]),
    ],
)
def test_lists_are_read_as_tools_write_them(data: bytes, paths: list[str]) -> None:
    assert parse_list(data) == paths


@pytest.mark.parametrize("data", [b"", b"\n\r\n", b"\0"])
def test_an_empty_list_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="list of files is empty"):
        parse_list(data)
