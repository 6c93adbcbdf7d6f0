"""`grade --explain DIR`: one heat map per graded image, numbered as the rows are."""

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, COLOURS, SIZE, make_bundle, solid
from commands import call, read_csv
from PIL import Image


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    """Three images of the same name in three folders, one of them no image, and one more."""
    home = tmp_path / "fruit"
    for place, name in (("a/1.png", "red"), ("b/1.png", "green"), ("z.png", "yellow")):
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        image = np.asarray(Image.fromarray(solid(name)).resize(SIZE[::-1])).copy()
        image[:3, :4] = COLOURS[CLASSES[(CLASSES.index(name) + 1) % 3]]
        Image.fromarray(image).save(home / place)
    (home / "c").mkdir()
    (home / "c" / "1.png").write_bytes(b"no image")
    return home


def explain(fruit: Path, bundle: Path, tmp_path: Path, *more: str) -> list[str]:
    """Grade with heat maps and return their names."""
    done = call(
        "grade", fruit, "--recursive", "--model", bundle, "--out", tmp_path / "out.csv", "--explain", tmp_path / "maps",
        "--progress", "none", *more,
    )  # fmt: skip
    assert done.exit_code == 3, done.output  # c/1.png is no image
    assert done.output == ""
    return names(tmp_path / "maps")


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))


POLICIES = [
    ("full",), ("exit:1",), ("threshold",), ("deadline:500ms",), ("full", "--precision", "int8"),
    ("threshold", "--workers", "3"),
]  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES, ids=" ".join)
def test_every_graded_image_has_one_whatever_the_policy(
    fruit: Path, bundle: Path, tmp_path: Path, policy: tuple[str, ...]
) -> None:
    assert explain(fruit, bundle, tmp_path, "--policy", *policy) == ["000001-1.png", "000002-1.png", "000004-z.png"]
    rows = read_csv(tmp_path / "out.csv")
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    for number, row in enumerate(rows, start=1):
        if not row["error"]:
            (overlay,) = (tmp_path / "maps").glob(f"{number:06}-*.png")
            with Image.open(overlay) as opened:
                shown = opened.info["mango-grader heat map"]
            assert f'"grade": "{row["grade"]}"' in shown
            assert f'"exit": {row["exit"]}' in shown


def test_overlays_stay_where_nothing_changed_and_are_drawn_again_where_something_did(
    fruit: Path, bundle: Path, tmp_path: Path
) -> None:
    first, second, last = explain(fruit, bundle, tmp_path)
    maps = tmp_path / "maps"
    for one in (first, second, last):
        os.utime(maps / one, ns=(1, 1))
    (maps / second).unlink()  # as if the job had been killed before
    Image.fromarray(solid("red")).save(fruit / "z.png")
    assert explain(fruit, bundle, tmp_path, "--resume") == [first, second, last]
    assert (maps / first).stat().st_mtime_ns == 1
    assert (maps / last).stat().st_mtime_ns != 1
    Image.fromarray(solid("red")).save(fruit / "a" / "0.png")
    assert explain(fruit, bundle, tmp_path, "--resume") == [
        "000001-0.png", "000002-1.png", "000003-1.png", "000005-z.png"
    ]  # fmt: skip


def test_heat_maps_can_be_asked_for_later(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    done = call("grade", fruit, "--recursive", "--model", bundle, "--out", tmp_path / "out.csv")
    assert done.exit_code == 3
    assert len(explain(fruit, bundle, tmp_path, "--resume")) == 3


def test_the_contact_sheet_shows_the_heat_maps(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    for out, more in (("plain", ()), ("maps", ("--explain", tmp_path / "maps"))):
        done = call(
            "grade", fruit, "--recursive", "--model", bundle, "--contact-sheet", tmp_path / f"{out}.html", *more
        )
        assert done.exit_code == 3
    plain, explained = (
        [
            np.asarray(Image.open(io.BytesIO(base64.b64decode(one))))
            for one in re.findall(r"base64,([^\"]+)", (tmp_path / f"{out}.html").read_text())
        ]
        for out in ("plain", "maps")
    )
    assert len(plain) == len(explained) == 3
    assert all(
        not np.array_equal(*pair) for pair in zip(plain, explained, strict=False) if pair[0].shape == pair[1].shape
    )
    assert all(one.shape == (108, 144, 3) for one in explained)  # the panel of the map, without its caption


def refused(*arguments: str | Path) -> str:
    done = call("grade", *arguments)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    return str(done.stderr)


def test_what_cannot_be_explained_is_refused_in_one_line_before_anything_is_graded(
    fruit: Path, bundle: Path, tmp_path: Path
) -> None:
    old = make_bundle(tmp_path / "old.mango", schema=2)
    wanted = ("--recursive", "--out", tmp_path / "out.csv", "--explain")
    assert "export its run again" in refused(fruit, "--model", old, *wanted, tmp_path / "maps")
    assert "is a file; name a folder" in refused(fruit, "--model", bundle, *wanted, old)
    assert "for heat maps alone, such as" in refused(fruit, "--model", bundle, *wanted, fruit)
    assert "for heat maps alone, such as" in refused(fruit / "a", "--model", bundle, *wanted, tmp_path)
    assert "without --explain" in refused("-", "--model", bundle, "--explain", tmp_path / "maps")
    assert not (tmp_path / "out.csv").exists()
    assert not (tmp_path / "maps").exists()


def test_files_of_others_stay(fruit: Path, bundle: Path, tmp_path: Path) -> None:
    explain(fruit, bundle, tmp_path)
    Image.fromarray(solid("red")).save(tmp_path / "maps" / "000009-mine.png")
    again = ("--recursive", "--model", bundle, "--explain", tmp_path / "maps")
    assert "holds 000009-mine.png" in refused(fruit, *again)
    assert (tmp_path / "maps" / "000009-mine.png").exists()


def test_an_image_that_changed_meanwhile_is_named(bundle: Path, tmp_path: Path) -> None:
    from mango_grader.runtime import Grader, Job, Results, make_items

    Image.fromarray(solid("red")).save(tmp_path / "1.png")
    job = Job(Grader.load(bundle, "cpu"), Results(explain=str(tmp_path / "maps")))
    with job.opened() as journal:
        job.grade(journal, make_items([tmp_path / "1.png", solid("green")]))
        Image.fromarray(solid("yellow", (50, 50))).save(tmp_path / "1.png")
        outcome = job.write(journal)
    assert not outcome.sound
    assert [one.reason for one in outcome.unexplained] == [
        "changed since it was graded; add --resume", "the image came without a file"
    ]  # fmt: skip
