"""--init-from, --teacher and --unlabelled that cannot serve are refused before an image is read or a step is timed."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file
from teachers import WEIGHTS, publish, write_architecture, write_onnx
from tiny import TINY, write_fruit

from mango_grader.cli import main

NAME = "shufflenet_v2_x0_5"
SETTINGS = ("train.epochs=1", "train.batch_size=8")


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def train(data: Path, home: Path, out: Path, *options: object) -> Result:
    student = write_architecture(home / "architecture.json")
    settings = (part for each in SETTINGS for part in ("--set", each))
    return call(
        "train", "--architecture", student, "--data", data, "--out", out, "--device", "cpu", *settings, *options
    )


def search(data: Path, out: Path, *options: object) -> Result:
    settings = (part for each in TINY for part in ("--set", each))
    chosen = ("--method", "enas", "--teacher", "none", "--size", 24, "--device", "cpu")
    return call("search", "--data", data, "--out", out, *chosen, *settings, *options)


@pytest.fixture(scope="module")
def home(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with teachers and starts of every bad kind."""
    home = tmp_path_factory.mktemp("home")
    other = write_fruit(home / "other")
    for old, new in (("green", "A"), ("red", "B"), ("yellow", "C")):
        (other / old).rename(other / new)
    assert train(other, home, home / "foreign").exit_code == 0
    assert train(fruit, home, home / "unfinished", "--plan-only").exit_code == 0
    network = ("--baseline", NAME, "--size", 32, "--device", "cpu")
    settings = (part for each in SETTINGS for part in ("--set", each))
    assert call("train", *network, "--data", fruit, "--out", home / "unlike", *settings).exit_code == 0
    (home / "torn.mango").write_bytes((home / "foreign" / "model.mango").read_bytes()[:2000])
    (home / "torn.onnx").write_bytes(b"torn")
    (home / "empty").mkdir()
    write_onnx(home / "flat.onnx", flat=True)
    return home


@pytest.mark.parametrize("command", ["search", "train"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--init-from", "{home}/nowhere"], "--init-from: no trained weights at"),
        (["--init-from", "{home}/torn.mango"], "--init-from: no trained weights at"),
        (["--init-from", "{home}/unfinished"], "name a finished run"),
        (["--init-from", "{home}/unlike"], "fit this network"),
        (["--teacher", "{home}/empty"], "holds no run"),
        (["--teacher", "{home}/unfinished"], "finish it with --resume"),
        (["--teacher", "{home}/foreign"], "its classes are A, B, C, those of the data are green, red, yellow"),
        (
            ["--teacher", "{home}/foreign/model.mango"],
            "its classes are A, B, C, those of the data are green, red, yellow",
        ),
        (["--teacher", "{home}/torn.mango"], "--teacher {home}/torn.mango: "),
        (["--teacher", "{home}/torn.onnx"], "cannot load"),
        (["--teacher", "{home}/flat.onnx"], "not a classifier of one input"),
        (["--teacher", "magicnet"], "magicnet: no such run, file or torchvision classifier"),
        (["--teacher", NAME], "its pretrained weights are not available"),
        (["--teacher", "{home}/colour.onnx", "--unlabelled", "{home}/empty"], "--unlabelled: no image"),
    ],
)
def test_a_bad_start_or_teacher_is_refused_before_an_image_is_read(
    command: str,
    arguments: list[str],
    says: str,
    fruit: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    publish(NAME, tmp_path / "torch")
    for path in (tmp_path / "torch").rglob("*.pth"):
        path.write_bytes(b"torn")
    if not (home / "colour.onnx").exists():
        write_onnx(home / "colour.onnx")
    given, out = [each.format(home=home) for each in arguments], tmp_path / "run"
    result = train(fruit, home, out, *given) if command == "train" else search(fruit, out, *given)
    assert result.exit_code == 2, result.output
    (said,) = result.stderr.splitlines()
    assert says.format(home=home) in said
    assert not (out / "cache").exists(), "images were read"


def test_a_run_that_was_refused_for_its_teacher_starts_with_another(fruit: Path, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(fruit, home, out, "--teacher", home / "foreign").exit_code == 2
    result = train(fruit, home, out, "--init-from", home / "foreign")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("option", "path", "harm"),
    [
        ("--init-from", "foreign", "weights.safetensors"),
        ("--teacher", "own", "weights.safetensors"),
        ("--teacher", "own/model.mango", ""),
        ("--teacher", "colour.onnx", ""),
    ],
)
def test_a_resumed_run_refuses_a_start_or_teacher_that_was_replaced_meanwhile(
    option: str, path: str, harm: str, fruit: Path, home: Path, tmp_path: Path
) -> None:
    if not (home / "own").exists():
        assert train(fruit, home, home / "own").exit_code == 0
        write_onnx(home / "colour.onnx")
    source, out = tmp_path / Path(path).name, tmp_path / "run"
    (shutil.copytree if (home / path).is_dir() else shutil.copy)(home / path, source)
    assert train(fruit, home, out, option, source, "--plan-only").exit_code == 0
    if source.suffix == ".onnx":
        write_onnx(source, weights=WEIGHTS[::-1].copy())
    elif harm:
        save_file({name: 2 * value for name, value in load_file(source / harm).items()}, source / harm)
    else:
        shutil.copy(home / "foreign" / "model.mango", source)
    result = call("train", "--resume", "--out", out)
    assert result.exit_code == 2, result.output
    assert option in result.stderr.splitlines()[-1]
    assert not (out / "weights.safetensors").exists()
    source.unlink() if source.is_file() else shutil.rmtree(source)
    (shutil.copytree if (home / path).is_dir() else shutil.copy)(home / path, source)
    assert call("train", "--resume", "--out", out).exit_code == 0


def test_unlabelled_images_that_come_or_go_meanwhile_never_change_the_result(
    fruit: Path, home: Path, tmp_path: Path
) -> None:
    more, colour = write_fruit(tmp_path / "more", 5, seed=8), write_onnx(tmp_path / "colour.onnx")
    for name in ("run", "alone"):
        result = train(fruit, home, tmp_path / name, "--teacher", colour, "--unlabelled", more, "--plan-only")
        assert result.exit_code == 0, result.output
    assert call("train", "--resume", "--out", tmp_path / "alone").exit_code == 0
    shutil.copy(fruit / "red" / "000.png", more / "red" / "0005.png")
    result = call("train", "--resume", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "1 image added (red/0005.png)" in result.stderr
    kept = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("run", "alone")]
    assert kept[0] == kept[1]
    assert (
        train(fruit, home, tmp_path / "other", "--teacher", colour, "--unlabelled", more, "--plan-only").exit_code == 0
    )
    (more / "red" / "003.png").unlink()
    result = call("train", "--resume", "--out", tmp_path / "other")
    assert result.exit_code == 2
    assert "1 image removed (red/003.png)" in result.stderr


def test_a_run_goes_on_where_its_teacher_start_and_unlabelled_images_were_moved_to(
    fruit: Path, home: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write_fruit(old / "more", 5, seed=8)
    write_onnx(old / "colour.onnx")
    shutil.copytree(home / "foreign", old / "foreign")
    shutil.copytree(fruit, old / "data")
    named = ("--init-from", "foreign", "--teacher", "colour.onnx", "--unlabelled", "more")
    told = [part if part.startswith("--") else old / part for part in named]
    for name in ("run", "alone"):
        assert train(old / "data", home, tmp_path / name, *told, "--plan-only").exit_code == 0
    assert call("train", "--resume", "--out", tmp_path / "alone").exit_code == 0
    old.rename(new)
    moved = ["--data", new / "data", *(part if part.startswith("--") else new / part for part in named)]
    write_onnx(tmp_path / "other.onnx", weights=WEIGHTS[::-1].copy())
    result = call("train", "--resume", "--out", tmp_path / "run", *moved, "--teacher", tmp_path / "other.onnx")
    assert result.exit_code == 2
    assert "--teacher: it is not what" in result.stderr
    result = call("train", "--resume", "--out", tmp_path / "run", *moved)
    assert result.exit_code == 0, result.output
    kept = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("run", "alone")]
    assert kept[0] == kept[1]


def test_a_resumed_run_without_a_teacher_is_told_of_none(fruit: Path, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train(fruit, home, out, "--plan-only").exit_code == 0
    result = call("train", "--resume", "--out", out, "--teacher", write_onnx(tmp_path / "colour.onnx"))
    assert result.exit_code == 2
    assert "was started without --teacher" in result.stderr
