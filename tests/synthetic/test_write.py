import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mango_grader.cli import main
from mango_grader.datasets import read_dataset
from mango_grader.errors import UsageError
from mango_grader.synthetic import Kind, Series, thumb_area, write_synthetic

SIZE = 64


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_folder_reads_as_a_data_set(tmp_path: Path) -> None:
    written = write_synthetic(tmp_path / "set", 12, Series(3, size=SIZE), clean=True)
    assert (written.images, written.made) == (12, 12)
    dataset = read_dataset(tmp_path / "set", group_by="fruit_id")
    assert dataset.classes == ("A", "B", "C")
    assert dataset.ordinal
    assert not dataset.findings
    assert [item.path for item in dataset.items] == [f"images/mango_{n:05d}.jpg" for n in range(1, 13)]
    assert [dataset.classes[item.label] for item in dataset.items] == [
        Series(3, size=SIZE).at(n).grade for n in range(12)
    ]
    assert len(set(dataset.groups)) == 12


def test_files_hold_what_the_fruit_is(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "set", 6, Series(7, size=96), clean=True)
    lesions = rows(tmp_path / "set/lesions.csv")
    for index, row in enumerate(rows(tmp_path / "set/labels.csv")):
        fruit, name = Series(7, size=96).at(index), row["image_id"].removesuffix(".jpg")
        with Image.open(tmp_path / f"set/masks/{name}.png") as mask:
            codes = np.asarray(mask)
        assert (codes == fruit.mask).all()
        for folder, image in (("images", fruit.image), ("clean", fruit.clean)):
            with Image.open(tmp_path / f"set/{folder}/{name}.jpg") as stored:
                assert np.abs(np.asarray(stored).astype(int) - image).mean() < 6
        own = [found for found in lesions if found["image_id"] == row["image_id"]]
        assert [found["kind"] for found in own] == [found.kind.label for found in fruit.lesions]
        for found in own:
            area = int(found["area_px"])
            assert area == (codes == Kind[found["kind"].upper()]).sum()
            assert float(found["area_thumbs"]) == pytest.approx(area / thumb_area(float(row["length_px"])), abs=1e-3)
        severity = sum(float(found["weight"]) * float(found["area_thumbs"]) for found in own)
        assert float(row["severity"]) == pytest.approx(severity, abs=1e-3)


def test_bytes_do_not_depend_on_count_or_workers(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "few", 4, Series(1, size=SIZE), workers=1)
    write_synthetic(tmp_path / "many", 7, Series(1, size=SIZE), workers=3)
    few, many = digests(tmp_path / "few"), digests(tmp_path / "many")
    images = [path for path in few if "/" in path]
    assert len(images) == 8
    assert all(few[path] == many[path] for path in images)


def test_a_stopped_run_is_completed_and_damage_is_mended(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_synthetic(folder, 5, Series(2, size=SIZE))
    whole = digests(folder)
    (folder / "labels.csv").unlink()
    (folder / "masks/mango_00002.png").unlink()
    image = folder / "images/mango_00003.jpg"
    image.write_bytes(image.read_bytes()[:500])
    mask = folder / "masks/mango_00004.png"
    mask.write_bytes(mask.read_bytes()[:100])
    assert write_synthetic(folder, 5, Series(2, size=SIZE)).made == 3
    assert digests(folder) == whole
    assert write_synthetic(folder, 5, Series(2, size=SIZE)).made == 0
    assert write_synthetic(folder, 6, Series(2, size=SIZE)).made == 1
    assert not list(folder.rglob("*.part"))


def test_clean_twins_can_be_added_later(tmp_path: Path) -> None:
    write_synthetic(tmp_path, 2, Series(2, size=SIZE))
    before = digests(tmp_path)
    assert write_synthetic(tmp_path, 2, Series(2, size=SIZE), clean=True).made == 2
    after = digests(tmp_path)
    assert {path for path in after if path.startswith("clean/")} == {"clean/mango_00001.jpg", "clean/mango_00002.jpg"}
    assert all(after[path] == before[path] for path in before if path.startswith("images/"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "set", 1, Series(2, size=SIZE))
    with pytest.raises(UsageError, match="another set"):
        write_synthetic(tmp_path / "set", 1, Series(3, size=SIZE))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/one.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose another folder"):
        write_synthetic(tmp_path / "photos", 1, Series(3, size=SIZE))
    assert digests(tmp_path / "photos").keys() == {"one.txt"}
    with pytest.raises(UsageError, match="at least 1"):
        write_synthetic(tmp_path / "none", 0, Series(3))
    assert not (tmp_path / "none").exists()


def test_views_share_their_fruit(tmp_path: Path) -> None:
    write_synthetic(tmp_path, 3, Series(2, size=SIZE, views=2))
    labels = rows(tmp_path / "labels.csv")
    assert [row["image_id"] for row in labels[:3]] == ["mango_00001-1.jpg", "mango_00001-2.jpg", "mango_00002-1.jpg"]
    assert [row["fruit_id"] for row in labels] == ["2-00001"] * 2 + ["2-00002"] * 2 + ["2-00003"] * 2


def test_the_command_makes_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    arguments = ["data", "synth", str(folder), "--count", "3", "--seed", "4", "--size", "64", "--progress", "none"]
    first = CliRunner().invoke(main, [*arguments, "--backgrounds", "wood, belt", "--json"])
    assert first.exit_code == 0, first.output
    assert '"made": 3' in first.output
    assert {row["background"] for row in rows(folder / "labels.csv")} <= {"wood", "belt"}
    again = CliRunner().invoke(main, [*arguments, "--backgrounds", "belt,wood"])
    assert again.exit_code == 0
    assert "3 images, 0 of them new" in again.output
    other = CliRunner().invoke(main, [*arguments, "--backgrounds", "moon"])
    assert other.exit_code == 2
    assert "no background is called moon; there are belt," in other.output
