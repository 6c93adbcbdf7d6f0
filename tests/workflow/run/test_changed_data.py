"""Data that change after a run began: names, labels and pixels of a run stay its own, or it says so and stops."""

import csv
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from distillation.teachers import write_architecture
from PIL import Image
from tiny import write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.runtime import Bundle, Grader


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write_labelled(folder: Path, renamed: Mapping[str, str]) -> Path:
    """Write images in one folder beside a CSV that labels them with the new names of their colours."""
    fruit = write_fruit(folder / "sorted")
    (folder / "images").mkdir()
    rows = []
    for path in sorted(fruit.rglob("*.png")):
        name = f"{path.parent.name}-{path.name}"
        path.rename(folder / "images" / name)
        rows.append((name, renamed.get(path.parent.name, path.parent.name)))
    shutil.rmtree(fruit)
    write_labels(folder, rows)
    return folder


def write_labels(folder: Path, rows: list[tuple[str, str]]) -> None:
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image_id", "label"), *rows])


def rename_classes(folder: Path, renamed: Mapping[str, str]) -> None:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["image_id"], row["label"]) for row in csv.DictReader(file)]
    write_labels(folder, [(name, renamed.get(label, label)) for name, label in rows])


def train(data: Path, out: Path, *options: object, epochs: int = 12) -> Result:
    student = write_architecture(out.parent / "architecture.json")
    settings = ("--set", f"train.epochs={epochs}", "--set", "train.batch_size=8", "--device", "cpu")
    return call("train", "--architecture", student, "--data", data, "--out", out, *settings, *options)


def begin(data: Path, out: Path, *options: object) -> None:
    """Begin a run, and interrupt it once its plan stands."""
    assert train(data, out, "--plan-only", *options, epochs=2).exit_code == 0


def resume(out: Path, *options: object) -> Result:
    return call("train", "--resume", "--out", out, *options)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


NAMES = {"green": "Healthy", "red": "Anthracnose", "yellow": "Stem rot"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with labelled images in `data` and a finished run on them; to be copied, not written to."""
    home = tmp_path_factory.mktemp("trained")
    result = train(write_labelled(home / "data", NAMES), home / "run")
    assert result.exit_code == 0, result.output
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """The same under another path, the run's configuration included."""
    home = shutil.copytree(trained, tmp_path / "home")
    config = home / "run" / "config.json"
    config.write_text(config.read_text().replace(str(trained), str(home)))
    return home


def card(path: Path) -> str:
    """Return a bundle's card without the line that says where the data were."""
    return "\n".join(line for line in Bundle.open(path).card.splitlines() if not line.endswith("/data"))


def test_edited_labels_never_permute_the_names_of_an_export(home: Path) -> None:
    before = Bundle.open(home / "run" / "model.mango").manifest
    # The order of the names turns: Anthracnose, Healthy, Stem rot become 1_good (Healthy), 2_bad, 3_rot.
    rename_classes(home / "data", {"Healthy": "1_good", "Anthracnose": "2_bad", "Stem rot": "3_rot"})
    result = call("export", home / "run")
    assert result.exit_code == 0, result.output
    after = Bundle.open(home / "run" / "model.mango").manifest
    assert after.classes == before.classes == ("Anthracnose", "Healthy", "Stem rot")
    grader = Grader.load(home / "run" / "model.mango", policy="full")
    healthy = [grader.grade(path).grade for path in sorted((home / "data" / "images").glob("green-*"))]
    assert healthy.count("Healthy") > len(healthy) / 2


def test_an_export_says_what_changed_in_the_data(home: Path) -> None:
    rename_classes(home / "data", {"Healthy": "1_good"})
    result = call("export", home / "run")
    assert result.exit_code == 0, result.output
    assert "classes renamed (Healthy → 1_good)" in result.stderr
    Image.new("RGB", (24, 24), "blue").save(home / "data" / "images" / "red-003.png")
    (home / "data" / "images" / "red-004.png").unlink()
    result = call("export", home / "run")
    assert result.exit_code == 0, result.output
    assert "1 image removed (images/red-004.png); 1 image overwritten (images/red-003.png)" in result.stderr


def test_edited_labels_never_calibrate_an_export_anew(home: Path) -> None:
    before, files = Bundle.open(home / "run" / "model.mango"), contents(home / "run")
    rename_classes(home / "data", {"Healthy": "Stem rot", "Stem rot": "Healthy"})
    result = call("export", home / "run")
    assert result.exit_code == 0, result.output
    after = Bundle.open(home / "run" / "model.mango")
    assert after.manifest.exits == before.manifest.exits, "temperatures are the run's"
    assert after.manifest.policies == before.manifest.policies
    assert after.golden().labels == before.golden().labels
    np.testing.assert_array_equal(after.golden().probabilities, before.golden().probabilities)
    assert after.manifest.provenance["labels_sha256"] == before.manifest.provenance["labels_sha256"]
    changed = {name for name, content in contents(home / "run").items() if files.get(name) != content}
    assert changed == {"model.mango"}


def test_an_export_elsewhere_leaves_the_run_as_it_is(home: Path) -> None:
    shutil.rmtree(home / "run" / "cache")
    files = contents(home / "run")
    rename_classes(home / "data", {"Healthy": "Stem rot", "Stem rot": "Healthy"})
    result = call("export", home / "run", "--out", home / "else.mango")
    assert result.exit_code == 0, result.output
    assert "30 labels changed" in result.stderr
    assert contents(home / "run") == files
    first, second = (Bundle.open(home / name) for name in ("run/model.mango", "else.mango"))
    np.testing.assert_array_equal(first.golden().images, second.golden().images)
    assert first.golden().labels == second.golden().labels


def test_a_run_exports_without_its_images(home: Path) -> None:
    shutil.rmtree(home / "data")
    result = call("export", home / "run", "--out", home / "else.mango")
    assert result.exit_code == 0, result.output
    assert "no longer at" in result.stderr
    assert card(home / "else.mango") == card(home / "run" / "model.mango")


def test_an_export_refuses_other_images_in_the_place_of_moved_ones(home: Path, tmp_path: Path) -> None:
    other = write_labelled(tmp_path / "other", NAMES)
    Image.new("RGB", (24, 24), "blue").save(other / "images" / "red-003.png")
    result = call("export", home / "run", "--data", other)
    assert result.exit_code == 2
    assert "1 image overwritten (images/red-003.png)" in result.stderr


def test_a_run_of_an_older_version_still_exports_under_its_own_names(home: Path) -> None:
    """It has no data.json and no border.json."""
    (home / "run" / "data.json").unlink()
    (home / "run" / "border.json").unlink()
    result = call("export", home / "run", "--out", home / "else.mango")
    assert result.exit_code == 0, result.output
    assert "cannot be checked" in result.stderr
    before, after = (Bundle.open(home / name).manifest for name in ("run/model.mango", "else.mango"))
    assert (after.classes, after.exits) == (before.classes, before.exits)
    assert card(home / "else.mango") == card(home / "run" / "model.mango")
    rename_classes(home / "data", {"Healthy": "1_good"})
    result = call("export", home / "run", "--out", home / "else.mango")
    assert result.exit_code == 2
    assert "the labels in" in result.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("labels", "labels changed (images/green-000.png"),
        ("pixels", "1 image overwritten (images/red-003.png)"),
        ("removed", "1 image removed (images/red-003.png)"),
        ("moved", "1 image moved (images/red-003.png → images/red-999.png)"),
    ],
)
def test_a_resumed_run_refuses_data_that_changed_meanwhile(change: str, says: str, tmp_path: Path) -> None:
    data, out = write_labelled(tmp_path / "data", NAMES), tmp_path / "run"
    begin(data, out)
    one = data / "images" / "red-003.png"
    if change == "labels":
        rename_classes(data, {"Healthy": "Stem rot", "Stem rot": "Healthy"})
    elif change == "pixels":
        Image.new("RGB", (24, 24), "blue").save(one)
    elif change == "removed":
        one.unlink()
    else:
        one.rename(one.with_name("red-999.png"))
        labels = data / "labels.csv"
        labels.write_text(labels.read_text().replace("red-003", "red-999"))
    result = resume(out)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not (out / "weights.safetensors").exists()


def test_a_resumed_run_goes_on_without_images_that_were_added_meanwhile(tmp_path: Path) -> None:
    data = write_labelled(tmp_path / "data", NAMES)
    shutil.copytree(data, tmp_path / "as-it-was")
    begin(data, tmp_path / "run")
    begin(tmp_path / "as-it-was", tmp_path / "alone")
    Image.new("RGB", (24, 24), "blue").save(data / "images" / "red-0005.png")  # between two others
    with (data / "labels.csv").open("a", encoding="utf-8") as file:
        file.write("red-0005.png,Anthracnose\n")
    rename_classes(data, {"Healthy": "1_good"})
    result = resume(tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "1 image added (images/red-0005.png); classes renamed (Healthy → 1_good)" in result.stderr
    assert resume(tmp_path / "alone").exit_code == 0
    for name in ("weights.safetensors", "split.json", "metrics.json", "predictions.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
    assert Bundle.open(tmp_path / "run" / "model.mango").manifest.classes == ("Anthracnose", "Healthy", "Stem rot")


def test_a_finished_run_says_what_changed_in_its_data_and_stays(home: Path) -> None:
    files = contents(home / "run")
    rename_classes(home / "data", {"Healthy": "1_good"})
    result = resume(home / "run")
    assert result.exit_code == 0, result.output
    assert "nothing is left to do" in result.stderr
    assert "classes renamed (Healthy → 1_good)" in result.stderr
    assert contents(home / "run") == files


def test_a_run_folder_knows_every_image_of_its_data(trained: Path) -> None:
    kept = read_json(trained / "run" / "data.json")
    assert kept["classes"] == ["Anthracnose", "Healthy", "Stem rot"]
    assert len(kept["images"]) == 45
    path, image = next(iter(kept["images"].items()))
    content = (trained / "data" / path).read_bytes()
    assert image == {"class": "Healthy", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
