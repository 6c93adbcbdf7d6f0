"""What a setting may be: numbers in a declared range, and nothing that is not a finite number."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from mango_grader import SearchOptions
from mango_grader.automl.architecture import space_from_dict
from mango_grader.errors import UsageError
from mango_grader.files import write_json
from mango_grader.ranges import Count, Open, Positive, Range, Ranged, RangeError, allowed_values
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.workflow.run.folder import RunFolder


@dataclass(frozen=True)
class _Inner(Ranged):
    rate: Positive = 0.1


@dataclass(frozen=True)
class _Outer(Ranged):
    counts: tuple[Count, ...] = (1, 2)
    share: Open | None = None
    kind: Literal["plain", "fancy"] = "plain"
    on: bool = True
    name: str = ""
    inner: _Inner = _Inner()


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (Range(1), (1, 10**29), (0, 10**400, math.inf, math.nan, "3", None), "1 or more"),
        (Range(0, above=True), (1e-300,), (0.0, -1.0), "above 0"),
        (Range(0, 1), (0, 1, 0.5), (-1e-9, 1 + 1e-9), "0..1"),
        (Range(0, 1, below=True), (0, 0.999), (1.0,), "0..1, below 1"),
        (Range(0, 1, above=True, below=True), (0.5,), (0, 1), "0..1, above 0, below 1"),
    ],
)
def test_a_range_holds_what_it_says(
    allowed: Range, inside: tuple[object, ...], outside: tuple[object, ...], words: str
) -> None:
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in outside)
    assert str(allowed) == words


@pytest.mark.parametrize("values", [{"counts": (1, 0)}, {"share": 1.0}, {"counts": (math.inf,)}])
def test_a_dataclass_made_with_a_number_outside_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(RangeError, match=next(iter(values))):
        _Outer(**values)  # type: ignore[arg-type]


def test_what_each_setting_may_be_is_said_in_words() -> None:
    assert allowed_values(_Outer()) == {
        "counts": "each 1 or more", "share": "0..1, above 0, below 1 | null", "kind": "plain | fancy",
        "on": "true | false", "name": "", "inner.rate": "above 0",
    }  # fmt: skip


def test_recipes_are_checked_wherever_they_are_made() -> None:
    with pytest.raises(UsageError, match="epochs must be 0 or more, not -3"):
        TrainRecipe(epochs=-3)
    with pytest.raises(UsageError, match="seed must be 0 or more, not -1"):
        SearchOptions(data=".", seed=-1)
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        WeightRecipe(nesterov=True, momentum=0.0)
    with pytest.raises(UsageError, match=r"depth must be in 1\.\.1000, not -2"):
        space_from_dict({"kind": "layerwise", "height": 32, "width": 32, "classes": 2, "depth": -2})


def test_a_saved_run_whose_settings_were_edited_out_of_range_is_refused(tmp_path: Path) -> None:
    saved = SearchOptions(data=".").config().to_dict()
    saved["train"]["epochs"] = -3
    write_json(tmp_path / "config.json", saved)
    with pytest.raises(UsageError, match=r"train\.epochs must be 0 or more, not -3"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize(
    ("method", "setting", "says"),
    [
        ("betanas", "method.warmup=31", "warmup must be at most epochs"),
        ("tnas-os", "method.vae.heads=5", "width must be a multiple of heads"),
        ("dso", "train.exit_weights=[1,2]", "exits, so give"),
        ("dso", "space.stem_stride=3", "power of two"),
        ("dso", "data.fold=[3,2]", "K of N"),
        ("enas", "space.dilations=[1,1]", "dilations that differ"),
        ("enas", "train.epochs=0", "leaves the network untrained"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_anything_runs(
    method: str, setting: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        SearchOptions(data=".", method=method, settings=[setting]).config()
    assert len(str(refused.value).splitlines()) == 1
