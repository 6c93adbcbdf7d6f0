"""A setting that a run would not look at is refused, with what would make it count."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mango_grader import SearchOptions, TrainOptions
from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.workflow.comparison import Comparison

# What is set; the options beside it; what has to be set, too, for it to count.
IGNORED: list[tuple[str, dict[str, Any], str]] = [
    ("train.weights.momentum=0.5", {}, "train.weights.optimiser=sgd"),
    ("train.weights.nesterov=true", {}, "train.weights.optimiser=sgd"),
    ("method.weights.momentum=0.5", {}, "method.weights.optimiser=sgd"),
    ("train.distil_temperature=3", {}, "train.distil=1"),
    ("augment.cutout_probability=0.3", {"settings": ["augment.cutout=0"]}, "augment.cutout=0.2"),
    ("augment.cutout_fill=[0,0,0]", {"settings": ["augment.cutout=0"]}, "augment.policy=imagenet"),
    ("search.cutout_probability=0.3", {"settings": ["augment.cutout=0"]}, "augment.cutout=0.2"),
    ("search.fit_width=true", {"max_macs": "none"}, "search.limits.max_macs=1000000"),
    ("search.sandwich.distillation.temperature=2", {}, "search.sandwich.drawn=2"),
    ("space.height=64", {}, "data.height=64"),
    ("data.width=64", {}, "space.width=64"),
    ("teacher.unlabelled_share=0.3", {"teacher": "resnet18"}, "teacher.unlabelled=more"),
    ("teacher.mean=[0,0,0]", {"teacher": "resnet18"}, "teacher.source=teacher.onnx"),
    ("teacher.recipe.epochs=2", {"settings": ["teacher.source=t.mango"], "teacher": "resnet18"}, "teacher.source=b"),
    ("method.adaptive=memory", {"method": "dso", "settings": ["method.keep=null", "method.gamma=0"]},
     "method.gamma=0.1"),
    ("method.drop_every=3", {"method": "betanas", "settings": ["method.drop_below=0"]}, "method.drop_below=0.3"),
    ("method.reinforce.paths=3", {"method": "proxylessnas"}, "method.gradient=reinforce"),
    ("method.binary.paths=all", {"method": "proxylessnas", "settings": ["method.gradient=reinforce"]},
     "method.gradient=binary_gates"),
    ("method.samples=9", {"method": "enas", "settings": ["method.result=most_probable"]}, "method.result=held_out"),
]  # fmt: skip
NEVER = ["preset=paper", "space.classes=7"]


def options(beside: dict[str, Any], *settings: str) -> SearchOptions:
    given = [*beside.get("settings", ()), *settings]
    return SearchOptions(data=".", **{**beside, "settings": given})


@pytest.mark.parametrize(("setting", "beside", "needed"), IGNORED, ids=[case[0] for case in IGNORED])
def test_it_is_refused_until_what_it_needs_is_set(setting: str, beside: dict[str, Any], needed: str) -> None:
    with pytest.raises(UsageError, match="would be ignored: ") as refused:
        options(beside, setting).config()
    assert str(refused.value).startswith(f"--set {setting} ")
    assert len(str(refused.value).splitlines()) == 1
    options(beside, setting, needed).config()
    options(beside, needed, setting).config()


@pytest.mark.parametrize("setting", NEVER)
def test_what_others_decide_is_refused(setting: str) -> None:
    with pytest.raises(UsageError, match="would be ignored: "):
        options({}, setting).config()


def test_a_width_that_the_method_always_fits_needs_no_setting() -> None:
    with pytest.raises(UsageError, match="dso always fits"):
        options({"method": "dso", "max_macs": 10**6}, "search.fit_width=true").config()


@pytest.mark.parametrize("beside", [{"teacher": "resnet18"}, {"retrain_on_all": True}])
def test_without_epochs_there_is_nothing_to_teach_or_repeat(beside: dict[str, Any]) -> None:
    start = {"init_from": "efficientnet-lite0", "settings": ["train.epochs=0"]}
    options(start).config()
    with pytest.raises(UsageError, match="trains nothing"):
        options({**start, **beside}).config()


def test_a_training_takes_no_settings_of_a_search(tmp_path: Path) -> None:
    for setting in ("method.epochs=3", "space.depth=3", "search.batch_size=8"):
        with pytest.raises(UsageError, match="no such setting"):
            TrainOptions(data=str(tmp_path), baseline="shufflenet_v2_x0_5", settings=[setting]).config()


@pytest.mark.parametrize("beside", [{"max_params": 1000}, {"settings": ["method.epochs=3"]}])
def test_a_comparison_without_a_search_takes_no_options_of_searches(beside: dict[str, Any], tmp_path: Path) -> None:
    asked = SearchOptions(data=str(tmp_path), **beside)
    with pytest.raises(UsageError, match="none of --methods is a search"):
        Comparison(("shufflenet_v2_x0_5", "msdnet"), asked).runs()


def test_the_command_line_says_so_in_one_line(tmp_path: Path) -> None:
    command = ["search", "--data", str(tmp_path), "--set", "train.weights.momentum=0.5"]
    result = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    reason = "AdamW has no such setting; choose optimiser=sgd"
    assert result.stderr == f"Error: --set train.weights.momentum=0.5 would be ignored: {reason}\n"
