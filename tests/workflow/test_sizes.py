"""Two sizes of one network: the one that is searched, the one that is trained, and runs with a single exit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mango_grader import SearchOptions, TrainOptions
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.limits import Limits, fitted
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig, MbconvConfig, NasnetConfig, SpaceConfig
from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec
from mango_grader.runtime import Grader
from mango_grader.workflow.presets import PRESETS

SMALL = NasnetConfig(24, 24, 3, depth=2, channels=4, nodes=1, stem_channels=8, reduce_at=(2,), exits=(2,))
# Under `random`, so that nothing but the space takes time; one exit, as in most papers.
ONE_EXIT = (
    "space.depth=2", "space.channels=4", "space.nodes=1", "space.stem_channels=8", "space.reduce_at=[2]",
    "space.exits=[2]", "method.epochs=1", "method.samples=3", "train.epochs=12", "train.batch_size=8",
    "search.batch_size=8",
)  # fmt: skip
LARGER = ("space.final.depth=3", "space.final.exits=[3]", "space.final.multiplier=2")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assigned(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


@pytest.fixture(scope="module")
def finished(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sizes") / "run"
    options = ("--space", "nasnet", "--teacher", "none", "--size", 24, "--out", out)
    result = run("search", "--data", fruit, *options, *assigned(*ONE_EXIT, *LARGER))
    assert result.exit_code == 0, result.output
    return out


def test_a_search_in_the_small_size_trains_in_the_large_one(finished: Path) -> None:
    found = Architecture.from_dict(read_json(finished / "architecture.json"))
    space = found.space
    assert isinstance(space, NasnetConfig)
    assert (space.depth, space.exits, space.multiplier, space.final) == (3, (3,), 2.0, {})
    assert NetworkSpec.from_dict(read_json(finished / "network.json")) == SearchSpace(space).derive(found)
    searched = SearchOptions(data=".", space="nasnet", settings=[*ONE_EXIT, *LARGER]).config().search
    assert searched is not None
    assert isinstance(searched.space, NasnetConfig)
    assert (searched.space.depth, searched.space.multiplier) == (2, 1.0)


def test_a_run_with_one_exit_is_whole(finished: Path, fruit: Path) -> None:
    metrics = read_json(finished / "metrics.json")
    assert len(metrics["test"]["exits"]) == 1
    assert metrics["test"]["exits"][0]["accuracy"]["value"] >= 0.7, "colour tells these classes apart"
    assert "Each exit answers earlier" not in (finished / "report.html").read_text(encoding="utf-8"), "there is no next"
    assert "exit:1 …" not in run("info", finished).stdout
    images = sorted((fruit / "red").iterdir())[:3]
    answers = {}
    for policy in ("full", "exit:1", "threshold", "budget:100%", "risk:eps=0.3,delta=0.2", "deadline:1000ms"):
        records = list(Grader.load(finished / "model.mango", policy=policy).grade_many(images))
        assert [record.exit for record in records] == [1, 1, 1], policy
        answers[policy] = [record.grade for record in records]
    assert all(each == answers["full"] for each in answers.values())
    with pytest.raises(UsageError, match=r"exit 1 alone takes .* the budget cannot be less"):
        Grader.load(finished / "model.mango", policy="budget:40%")
    evaluated = run("evaluate", "--model", finished / "model.mango", "--data", fruit, "--progress", "none")
    assert evaluated.exit_code == 0, evaluated.output
    verified = run("verify", finished / "model.mango")
    assert verified.exit_code == 0, verified.output


def test_what_was_found_is_trained_in_a_larger_space(fruit: Path, tmp_path: Path) -> None:
    found = SearchSpace(SMALL).sample(np.random.default_rng(0))
    path = tmp_path / "architecture.json"
    write_json(path, found.to_dict())
    settings = ("space.depth=4", "space.reduce_at=2,3", "space.exits=[4]", "space.channels=8", "train.epochs=1")
    config = TrainOptions(data=str(fruit), architecture=str(path), settings=settings).config()
    larger = replace(SMALL, depth=4, reduce_at=(2, 3), exits=(4,), channels=8)
    assert config.network == SearchSpace(larger).derive(Architecture(larger, found.choices))
    assert config.train.epochs == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("space.depth=4", "exits must rise and end at the last layer, 4"),
        ("space.kernels=[5]", "is not a legal choice"),
        ("space.depht=4", "no such setting; there are"),
        ("space.depth=deep", "space.depth: Input should be a valid integer"),
        ("space.depth=0", "space.depth must be in 1..1000, not 0"),
        ("space.height=64", "--size sets height and width"),
        ("space.final.depth=4", "change other settings"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_in_one_line(
    fruit: Path, tmp_path: Path, setting: str, message: str
) -> None:
    space = LayerwiseConfig(16, 16, 3, depth=3, channels=8, kernels=(3, 5), dilations=(1,), exits=(3,))
    choices = {d.name: d.candidates[:1] for d in space.decisions()}  # a kernel of 3 in every layer
    path = tmp_path / "architecture.json"
    write_json(path, Architecture(space, choices).to_dict())
    options = ("--architecture", path, "--data", fruit, "--out", tmp_path / "run")
    refused = run("train", *options, "--set", setting)
    assert refused.exit_code == 2, refused.output
    assert len(refused.stderr.splitlines()) == 1
    assert message in refused.stderr
    assert not (tmp_path / "run").exists()


def test_more_layers_than_were_decided_are_named(fruit: Path, tmp_path: Path) -> None:
    space = LayerwiseConfig(16, 16, 3, depth=3, channels=8, kernels=(3, 5), dilations=(1,), exits=(3,))
    path = tmp_path / "architecture.json"
    write_json(path, SearchSpace(space).sample(np.random.default_rng(0)).to_dict())
    options = ("--architecture", path, "--data", fruit, "--out", tmp_path / "run")
    refused = run("train", *options, *assigned("space.depth=5", "space.exits=[5]"))
    assert refused.exit_code == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "layer4.convolution, layer4.skip, layer5.convolution and 1 more" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["space.final.depth=5"], "exits must rise and end at the last layer, 5"),
        (["space.final.depth=13", "space.final.exits=[13]"], "final changes what there is to decide"),
        (["space.final.depht=5"], "final: no setting is called depht"),
        (["space.final.classes=5"], "final: no setting is called classes"),
        (["space.final.channels=-1"], "space.final.channels must be in 1..16384, not -1"),
        (["space.final.channels=many"], "space.final.channels: Input should be a valid integer"),
        (["space.final.exits=[12]", "train.exit_weights=1,1,1"], "the networks have 1 exits"),
    ],
)
def test_final_settings_that_cannot_work_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        SearchOptions(data=".", method="enas", settings=settings).config()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_final_settings_the_searched_size_is_trained() -> None:
    config = SearchOptions(data=".", preset="paper", method="tnas-g", settings=["space.final={}"]).config()
    assert config.search is not None
    assert SearchSpace(config.search.space).final.config == config.search.space
    assert PRESETS["paper"].spaces["nasnet"].final, "with them it would be another"


def test_limits_hold_for_the_network_that_is_trained() -> None:
    space: SpaceConfig = replace(SMALL, channels=16, final={"depth": 4, "exits": (4,)})
    limits = Limits(max_params=4000)
    narrow = SearchSpace(fitted(space, limits))
    assert narrow.config.multiplier < 1
    assert narrow.config.final == space.final
    rng = np.random.default_rng(1)
    feasible = [path for path in map(narrow.sample, [rng] * 40) if limits.feasible(narrow, path)]
    assert len(feasible) > 20
    trained = SearchSpace(replace(SMALL, channels=16, multiplier=narrow.config.multiplier, depth=4, exits=(4,)))
    assert all(trained.derive(path).params()[-1] <= 4000 for path in feasible)
    assert narrow.config.finished().multiplier == narrow.config.multiplier


def test_the_training_of_an_architecture_is_that_of_its_paper(fruit: Path, tmp_path: Path) -> None:
    path = tmp_path / "architecture.json"
    write_json(path, SearchSpace(SMALL).sample(np.random.default_rng(0)).to_dict())
    config = TrainOptions(data=str(fruit), architecture=str(path), preset="paper").config()
    assert config.train == PRESETS["paper"].setup_of("tnas-g").train
    assert config.train != PRESETS["paper"].setup.train


@pytest.mark.parametrize("multiplier", [0.75, 1.4])
def test_betanet_is_searched_at_one_width_and_trained_at_another(multiplier: float) -> None:
    setting = f"space.final.multiplier={multiplier}"
    search = SearchOptions(data=".", preset="paper", method="betanas", settings=[setting]).config().search
    assert search is not None
    trained = SearchSpace(search.space).final.config
    assert (search.space.multiplier, trained.multiplier) == (1.0, multiplier)
    assert isinstance(trained, MbconvConfig)
    assert (trained.squeeze, trained.exits) == (0.25, (6,))


def test_what_dso_found_on_cifar_is_trained_with_the_stages_of_imagenet(fruit: Path, tmp_path: Path) -> None:
    space = SearchSpace(PRESETS["paper"].space("dag", 32, 32))
    path = tmp_path / "architecture.json"
    write_json(path, space.sample(np.random.default_rng(0)).to_dict())
    stages = ("space.stages=2,2,13,6", "space.exits=[23]", "space.stem_stride=4")
    options = TrainOptions(
        data=str(fruit), architecture=str(path), preset="paper-imagenet", size=(224, 224), settings=stages
    )
    config = options.config()
    assert config.network is not None
    assert config.network.exits == ("exit23",)
    assert config.train.epochs == 240
    assert config.network.shapes["block1"][1:] == (56, 56)
