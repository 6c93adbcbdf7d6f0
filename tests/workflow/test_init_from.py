"""Starts from other weights, in searches and trainings."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from tiny import write_fruit

from mango_grader import SearchOptions, TrainOptions
from mango_grader.cli import main
from mango_grader.models.imagenet import efficientnet_lite0_state
from mango_grader.runtime import Bundle

AT_REST = ("train.epochs=1", "train.weights.lr=0", "train.batch_size=8", "method.epochs=1", "method.samples=1")


def search(
    data: Path,
    out: Path,
    space: str,
    *settings: str,
    source: str | None = "efficientnet-lite0",
    plan_only: bool = False,
) -> Result:
    given = [part for setting in settings for part in ("--set", setting)]
    start = ["--method", "random", "--teacher", "none", "--space", space, "--device", "cpu"]
    start += [] if source is None else ["--init-from", source]
    start += ["--plan-only"] if plan_only else []
    return CliRunner().invoke(main, ["search", "--data", str(data), "--out", str(out), "--size", "32", *start, *given])


def test_what_a_search_finds_starts_from_imagenet(tmp_path: Path) -> None:
    result = search(write_fruit(tmp_path / "fruit"), tmp_path / "run", "lite", *AT_REST, "search.inherit=false")
    assert result.exit_code == 0, result.output
    assert "tensors taken over from efficientnet-lite0" in result.stderr
    kept = load_file(tmp_path / "run" / "weights.safetensors")
    model = Bundle.open(tmp_path / "run" / "model.mango")
    assert model.manifest.provenance["init_from"] == "efficientnet-lite0"
    assert "started from the weights of efficientnet-lite0" in model.card
    assert torch.equal(kept["nodes.stem.0.weight"], efficientnet_lite0_state()["nodes.stem.0.weight"])


def test_weights_that_fit_no_candidate_are_refused_before_the_search(tmp_path: Path) -> None:
    result = search(write_fruit(tmp_path / "fruit"), tmp_path / "run", "layerwise")
    assert result.exit_code == 2
    assert "no weights of efficientnet-lite0 fit" in result.stderr
    assert "Traceback" not in result.output


def test_widths_that_the_limits_narrowed_are_named_as_the_reason(tmp_path: Path) -> None:
    result = search(write_fruit(tmp_path / "fruit"), tmp_path / "run", "lite", "search.limits.max_params=40000")
    assert result.exit_code == 2
    assert "no weights of efficientnet-lite0 fit this network: --max-params" in result.stderr
    assert "of its widths; loosen them" in result.stderr


def test_limits_are_not_blamed_for_weights_that_are_not_there(tmp_path: Path) -> None:
    data, limit = write_fruit(tmp_path / "fruit"), "search.limits.max_params=40000"
    result = search(data, tmp_path / "run", "lite", limit, source=str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "no trained weights at" in result.stderr
    assert "of its widths" not in result.stderr


def test_a_search_starts_afresh_where_it_is_told_to(tmp_path: Path) -> None:
    data = write_fruit(tmp_path / "fruit")
    result = search(data, tmp_path / "run", "lite", *AT_REST, source="none", plan_only=True)
    assert result.exit_code == 0, result.output
    assert "plan: the super net starts from new weights" in result.stderr


def test_where_limits_narrow_the_widths_nobody_asked_for_imagenet_weights(tmp_path: Path) -> None:
    data, limit = write_fruit(tmp_path / "fruit"), "search.limits.max_params=40000"
    result = search(data, tmp_path / "run", "lite", *AT_REST, limit, source=None, plan_only=True)
    assert result.exit_code == 0, result.output
    assert "plan: the super net starts from new weights" in result.stderr


@pytest.mark.parametrize(("space", "start"), [("lite", "auto"), ("mbconv", None), ("dag", None)])
def test_only_spaces_with_imagenet_weights_are_configured_to_start_from_them(space: str, start: str | None) -> None:
    assert SearchOptions(data=".", space=space).config().init_from == start
    assert SearchOptions(data=".", space=space, init_from="none").config().init_from is None


@pytest.mark.parametrize(("baseline", "start"), [("efficientnet_lite0_front_halved", "auto"), ("msdnet", None)])
def test_a_baseline_with_imagenet_weights_starts_from_them(baseline: str, start: str | None, tmp_path: Path) -> None:
    data = str(write_fruit(tmp_path / "fruit", per_class=1))
    assert TrainOptions(data=data, baseline=baseline).config().init_from == start
