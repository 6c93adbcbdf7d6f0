"""Trainings with a teacher of each kind."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import teachers
import torch
from click.testing import CliRunner, Result
from PIL import Image
from teachers import CPU, opened, publish, started, trained, write_detail_onnx, write_onnx
from tiny import TINY, write_fruit

from mango_grader.cli import main
from mango_grader.files import read_json
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Bundle
from mango_grader.runtime.inference.sessions import softmax
from mango_grader.training.distillation import teacher_logits
from mango_grader.workflow.distillation.batches import plain_batches
from mango_grader.workflow.distillation.teacher import open_teacher
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.start import prepare_run

NAME = "shufflenet_v2_x0_5"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teachers.write_architecture(tmp_path_factory.mktemp("student") / "architecture.json")


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file that tells the fruit apart."""
    return write_onnx(tmp_path_factory.mktemp("teachers") / "colour.onnx")


@pytest.fixture(scope="module")
def distilled(student: Path, fruit: Path, colour: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("distilled") / "run"
    settings = ("train.epochs=25", "train.batch_size=8", "teacher.views=2", "teacher.weight=1")
    result = run(
        "train", "--architecture", student, "--data", fruit, "--out", out, "--teacher", colour,
        *(part for setting in settings for part in ("--set", setting)),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out


def test_an_onnx_file_teaches(distilled: Path) -> None:
    answers = [np.load(path) for path in sorted((distilled / "teacher" / "answers-train").glob("*.npy"))]
    assert sum(map(len, answers)) == 2 * (len(read_json(distilled / "split.json")["train"]) // 8)
    assert read_json(distilled / "metrics.json")["test"]["exits"][0]["accuracy"]["value"] > 0.8, (
        "no label was looked at"
    )


def test_report_and_card_name_the_teacher(distilled: Path) -> None:
    bundle = Bundle.open(distilled / "model.mango")
    for text in (bundle.card, (distilled / "report.html").read_text()):
        assert "Distilled from colour.onnx, which itself grades 100.0 %" in text
    assert bundle.manifest.provenance["teacher"] == "colour.onnx"


def test_a_finished_run_needs_its_teacher_no_more(distilled: Path, colour: Path) -> None:
    colour.rename(colour.with_suffix(".away"))
    assert run("train", "--resume", "--out", distilled).exit_code == 0
    colour.with_suffix(".away").rename(colour)


@pytest.mark.parametrize("kind", ["", "model.mango"], ids=["run", "bundle"])
def test_ours_teach_what_they_answer_by_the_names_of_classes(
    kind: str, distilled: Path, student: Path, fruit: Path, tmp_path: Path
) -> None:
    folder, config = started(tmp_path / "run", student, fruit, teacher=str(distilled / kind))
    student_run, source = opened(folder, config)
    data = student_run.data
    rows = [json.loads(line) for line in (distilled / "predictions.jsonl").read_text().splitlines()]
    answers = softmax(teacher_logits(source.stand_in, data.test))
    np.testing.assert_allclose(answers, [row["probabilities"][-1] for row in rows], atol=1e-4)
    turned = replace(data, dataset=replace(data.dataset, classes=data.dataset.classes[::-1]))
    other = open_teacher(replace(student_run, data=turned))
    assert other is not None
    np.testing.assert_allclose(softmax(teacher_logits(other.stand_in, data.test)), answers[:, ::-1], atol=1e-6)


def test_probabilities_and_graphs_of_one_image_at_a_time_are_understood(
    student: Path, fruit: Path, tmp_path: Path
) -> None:
    found = []
    for name, odd in (("odd", True), ("plain", False)):
        path = write_onnx(tmp_path / f"{name}.onnx", batch=1 if odd else "N", size=20, softmax=odd)
        student_run, source = opened(*started(tmp_path / name, student, fruit, teacher=str(path)))
        found.append(teacher_logits(source.stand_in, student_run.data.val))
    np.testing.assert_allclose(np.exp(found[0]), softmax(found[1]), atol=1e-5)


def test_a_teacher_sees_details_that_its_student_does_not(student: Path, tmp_path: Path) -> None:
    """A network of 224 pixels was asked about its student's 128 pixels made larger."""
    rng, noise = np.random.default_rng(0), np.indices((48, 48)).sum(0) % 2 * 200
    for place, name in enumerate(("fine", "even")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            grey = (100 if place else noise) + rng.integers(0, 20, (48, 48))
            Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(tmp_path / "photos" / name / f"{number}.png")
    path = write_detail_onnx(tmp_path / "detail.onnx", size=48)
    folder, config = started(
        tmp_path / "run", student, tmp_path / "photos", "train.epochs=1", "teacher.views=1", teacher=str(path),
        group_by="none",
    )  # fmt: skip
    trained(folder, config)
    figures = read_json(folder.teacher_figures)
    assert (figures["val"]["value"], figures["test"]["value"]) == (1.0, 1.0)


def test_other_classes_teach_through_a_probe_of_the_training_part(student: Path, fruit: Path, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    folder, config = started(
        tmp_path / "run", student, fruit, teacher=str(write_onnx(tmp_path / "seven.onnx", weights=weights))
    )
    assert teachers.accuracy(folder, config) > 0.8
    probe = (folder.teacher / "probe.safetensors").read_bytes()
    (folder.teacher / "probe.safetensors").unlink()
    data = prepare_run(config, folder, SilentProgress())
    labels = data.train.labels.copy()
    labels[np.concatenate([data.val.rows, data.test.rows])] = 0
    changed = replace(data, train=replace(data.train, labels=labels))
    open_teacher(RunContext(folder, config, changed, CPU, SilentProgress()))
    assert (folder.teacher / "probe.safetensors").read_bytes() == probe, "labels that it may not see changed it"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return publish(NAME, tmp_path / "torch")


def test_a_torchvision_model_is_fine_tuned_and_teaches(
    published: dict[str, torch.Tensor], student: Path, fruit: Path, tmp_path: Path
) -> None:
    settings = ("train.epochs=2", "teacher.views=1", "teacher.recipe.epochs=2", "teacher.recipe.batch_size=8")
    folder, config = started(tmp_path / "run", student, fruit, *settings, teacher=NAME)
    trained(folder, config)
    assert (folder.teacher / "weights.safetensors").exists()
    assert read_json(folder.teacher_figures)["name"] == NAME
    assert [row["phase"] for row in folder.read_history()] == ["train"] * 2


def test_all_but_the_head_of_a_torchvision_model_is_as_published(
    published: dict[str, torch.Tensor], student: Path, fruit: Path, tmp_path: Path
) -> None:
    folder, config = started(tmp_path / "run", student, fruit, "teacher.recipe.epochs=0", teacher=NAME)
    opened(folder, config)[1].make()
    kept = teachers.read_tensors(folder.teacher / "weights.safetensors")
    same = {name for name, value in published.items() if torch.equal(kept[f"nodes.{NAME}.{name}"], value)}
    assert published.keys() - same == {"fc.weight", "fc.bias"}
    assert kept[f"nodes.{NAME}.fc.weight"].shape[0] == 3


def test_unlabelled_images_are_used_and_those_like_validation_or_test_images_left_out(
    student: Path, fruit: Path, colour: Path, tmp_path: Path
) -> None:
    more = write_fruit(tmp_path / "more", per_class=5, seed=8)
    (more / "torn.png").write_bytes(b"torn")
    for path in fruit.glob("red/*.png"):
        with Image.open(path) as image:
            image.save(more / f"copy-{path.stem}.bmp")
    folder, config = started(
        tmp_path / "run", student, fruit, "train.epochs=2", "teacher.unlabelled_share=0.25", teacher=str(colour),
        unlabelled=str(more),
    )  # fmt: skip
    data = opened(folder, config)[0].data
    assert data.unlabelled is not None
    training = [path for path in data.paths(data.train) if path.startswith("red/")]
    assert len(data.unlabelled) == 15 + len(training), "of the copies only those of training images are left"
    batches = plain_batches(config, data)
    assert (batches.batch_size, batches.per_epoch) == (8, len(data.train) // 6)
    assert len(batches[3].labels) == 6
    assert len(trained(folder, config)) == 2


def test_a_search_hands_its_result_to_the_teacher(fruit: Path, distilled: Path, tmp_path: Path) -> None:
    settings = (*TINY, "train.epochs=2", "teacher.views=1", "method.epochs=1")
    result = run(
        "search", "--data", fruit, "--method", "enas", "--size", 24, "--out", tmp_path / "run",
        "--teacher", distilled / "model.mango",
        *(part for setting in settings for part in ("--set", setting)),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert list((tmp_path / "run" / "teacher" / "answers-train").iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--teacher", "nowhere.onnx"], "no such run folder or file"),
        (["--teacher", "magicnet"], "magicnet: no such run, file or torchvision classifier"),
        (["--teacher", "inception_v3"], "no such run, file or torchvision classifier"),
        (["--teacher", "{tmp}/torn.onnx"], "cannot load"),
        (["--teacher", "{tmp}/flat.onnx"], "not a classifier of one input"),
        (["--teacher", "{tmp}"], "holds no run"),
        (["--teacher", NAME], "its pretrained weights are not available"),
        (["--unlabelled", "{tmp}"], "--teacher"),
        (["--teacher", "{colour}", "--unlabelled", "{tmp}/nothing"], "--unlabelled: no such folder"),
        (["--teacher", "{colour}", "--set", "teacher.weight=2"], "weight must be in 0..1"),
        (["--teacher", "{colour}", "--set", "teacher.views=-1"], "teacher.views must be 0 or more, not -1"),
        (["--teacher", "{colour}", "--set", "teacher.unlabelled_share=1"], "unlabelled_share must be"),
        (["--teacher", "{colour}", "--budget", "1s"], "the smallest feasible is"),
    ],
)
def test_what_cannot_teach_is_refused_in_one_line(
    arguments: list[str],
    says: str,
    published: dict[str, torch.Tensor],
    student: Path,
    fruit: Path,
    colour: Path,
    tmp_path: Path,
) -> None:
    for path in (tmp_path / "torch").rglob("*.pth"):
        path.write_bytes(b"torn")
    (tmp_path / "torn.onnx").write_bytes(b"torn")
    write_onnx(tmp_path / "flat.onnx", flat=True)
    filled = [each.format(tmp=tmp_path, colour=colour) for each in arguments]
    result = run("train", "--architecture", student, "--data", fruit, "--out", tmp_path / "run", "--plan-only", *filled)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "run" / "plan.json").exists()


def test_a_bundle_of_other_classes_is_refused(distilled: Path, student: Path, fruit: Path, tmp_path: Path) -> None:
    other = tmp_path / "photos"
    other.mkdir()
    for old, new in (("green", "A"), ("red", "B"), ("yellow", "C")):
        (other / new).symlink_to(fruit / old)
    result = run(
        "train", "--architecture", student, "--data", other, "--out", tmp_path / "run", "--teacher",
        distilled / "model.mango",
    )  # fmt: skip
    assert result.exit_code == 2, result.output
    assert "its classes are green, red, yellow, those of the data are A, B, C" in result.stderr
