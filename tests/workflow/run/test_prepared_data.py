"""From photos to examples, on the host and on the device that trains."""

from pathlib import Path

import pytest
import torch
from photos import write_folders
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.progress import LineProgress, SilentProgress
from mango_grader.training.batches import Batches
from mango_grader.training.device import Device
from mango_grader.workflow.config import DataConfig
from mango_grader.workflow.run.data import PreparedData, on_device, prepare
from mango_grader.workflow.run.folder import RunFolder


class Roomy(Device):
    """A CPU that keeps images as a GPU would."""

    def keeps(self, size: int) -> bool:
        return True


@pytest.fixture(scope="module")
def data(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = RunFolder(tmp_path_factory.mktemp("prepared"))
    return prepare(DataConfig(str(fruit), height=24, width=24), folder, SilentProgress())


def test_images_on_a_device_make_the_same_batches(data: PreparedData) -> None:
    there = on_device(data, Roomy("cpu"))
    assert isinstance(there.train.images, torch.Tensor)
    assert there.train.images is there.val.images is there.test.images, "one copy for all parts"
    for part, same in ((data.train, there.train), (data.val, there.val), (data.test, there.test)):
        assert torch.equal(Batches(part, 8, 3)[5].images, Batches(same, 8, 3)[5].images)
    one, other = (each.held_out(0.4, 1) for each in (data, there))
    for part, same in zip(one, other, strict=True):
        assert torch.equal(Batches(part, 4, 3)[2].images, Batches(same, 4, 3)[2].images)


def test_a_cpu_keeps_the_cache_where_it_is(data: PreparedData) -> None:
    assert on_device(data, Device("cpu")) is data


def test_a_class_that_no_bundle_can_name_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    write_folders(tmp_path / "fruit", {"A\x1b[31m": 3, "B": 3})
    with pytest.raises(UsageError, match=r"class 'A\\x1b\[31m' holds characters that no line shows"):
        prepare(DataConfig(str(tmp_path / "fruit"), height=24, width=24), RunFolder(tmp_path), SilentProgress())


class _Notes(SilentProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_training_names_images_that_may_not_show_what_they_should(tmp_path: Path) -> None:
    write_folders(tmp_path / "fruit", {"A": 12, "B": 12})
    Image.new("RGB", (24, 32), (3, 3, 3)).save(tmp_path / "fruit/B/covered.png")
    notes = _Notes()
    prepare(DataConfig(str(tmp_path / "fruit"), height=24, width=24), RunFolder(tmp_path / "run"), notes)
    assert any("1 image to check: B/covered.png (practically one colour" in note for note in notes.said)


def test_training_and_its_continuation_say_where_the_labels_are_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = DataConfig(str(write_folders(tmp_path / "set", {"A": 8, "B": 8})), height=24, width=24)
    for _ in range(2):
        prepare(config, RunFolder(tmp_path / "run"), LineProgress(as_json=False))
        assert "labels: folders, 2 classes" in capsys.readouterr().err.splitlines()


def test_training_on_a_lone_test_folder_says_that_train_is_missing(tmp_path: Path) -> None:
    write_folders(tmp_path / "set", {"test/A": 6, "test/B": 6, "val/A": 6, "val/B": 6})
    config = DataConfig(str(tmp_path / "set"), height=24, width=24)
    with pytest.raises(UsageError, match="has only val/ and test/: train/ is missing"):
        prepare(config, RunFolder(tmp_path / "run"), SilentProgress())
    assert not RunFolder(tmp_path / "run").cache.exists()  # Refused before anything is decoded.


def test_control_characters_of_names_never_reach_the_terminal_from_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folders(tmp_path / "set", {"A": 8, "B": 8})
    (root / "A" / "bad\x1b[2J.png").write_bytes(b"x")
    (root / "stray\x1b.mp4").write_bytes(b"x")
    prepare(DataConfig(str(root), height=24, width=24), RunFolder(tmp_path / "run"), LineProgress())
    told = capsys.readouterr().err
    assert "left out A/bad\\x1b[2J.png" in told
    assert "\x1b" not in told
