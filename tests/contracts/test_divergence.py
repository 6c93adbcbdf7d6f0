"""Every search that leaves the finite numbers stops there and says which step and which setting; NaN never wins."""

import json
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import CLASSES, METHODS, SPACES
from planted import PlantedSpace

from mango_grader.automl import methods
from mango_grader.automl.architecture import Architecture
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.methods import MethodSettings, RandomSettings
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.checkpoint import load_checkpoint
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.divergence import DivergedError, all_finite

CPU = Device("cpu")
CONFIG = SPACES["layerwise"]


def searching(method: str, settings: MethodSettings, checkpoint: Path | None = None, device: Device = CPU) -> Search:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (48, CONFIG.height, CONFIG.width, 3), dtype=np.uint8)
    labels, rows = rng.integers(0, CLASSES, 48), np.arange(48)
    batches = Batches(Examples(images, labels, rows[:32]), 8, seed=3)
    held_out = Examples(images, labels, rows[32:])
    data = SearchData(batches, held_out, device=device)
    search = build_search(method, settings, SearchProblem(SearchSpace(CONFIG)), data, seed=3)
    search.checkpoint, search.checkpoint_every = checkpoint, 0.0
    return search


def with_rate(method: str, name: str, rate: float) -> MethodSettings:
    settings: Any = METHODS[method]
    if name == "lr":
        return replace(settings, lr=rate)
    return replace(settings, **{name: replace(getattr(settings, name), lr=rate)})


@pytest.mark.parametrize("method", METHODS)
def test_a_search_whose_weights_diverge_stops_naming_step_and_setting(method: str, tmp_path: Path) -> None:
    kept = tmp_path / "search.safetensors"
    told = []
    for _ in range(2):
        with pytest.raises(DivergedError) as stopped:
            searching(method, with_rate(method, "weights", 1e25), kept).run(SilentProgress())
        told.append(str(stopped.value))
        assert not kept.exists() or all_finite(load_checkpoint(kept))
    assert told[0] == told[1], "a resumed search stops at the same step"
    assert told[0].startswith("search round ")
    assert ", step " in told[0]
    assert "a lower method.weights.lr (it is 1e+25)" in told[0]
    assert len(told[0].splitlines()) == 1


class _LooksLater(Device):
    """A GPU, of which nothing is asked between two steps; what it computes is the CPU's."""

    @property
    def is_gpu(self) -> bool:
        return True

    def autocast(self) -> AbstractContextManager[object]:
        return nullcontext()


@pytest.mark.parametrize("method", METHODS)
def test_on_a_gpu_too_the_first_step_that_was_not_finite_is_named(method: str) -> None:
    told = []
    for device in (CPU, _LooksLater("cpu")):
        with pytest.raises(DivergedError) as stopped:
            searching(method, with_rate(method, "weights", 1e25), device=device).run(SilentProgress())
        told.append(str(stopped.value))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("method", "rates", "says"),
    [
        ("dso", "lr", "method.lr"),
        ("ms-ranas", "lr", "method.lr"),
        ("enas", "controller", "method.controller.lr"),
        ("betanas", "binary", "method.binary.lr"),
        ("tnas-os", "vae", "method.vae.lr"),
        ("tnas-g", "vae", "method.vae.lr"),
    ],
)
def test_what_a_method_learns_is_watched_as_well(method: str, rates: str, says: str) -> None:
    """A method that has lost its way may score on and pick: λ = NaN, for one, counts as pruned."""
    search = searching(method, with_rate(method, rates, 9e29))
    for value in flat(search.method.state_dict()):
        if value.is_floating_point() and value.numel() and not value.is_inference():
            with torch.no_grad():
                value.fill_(torch.nan)
            break
    with pytest.raises(DivergedError, match=says.replace(".", r"\.")) as stopped:
        search.run(SilentProgress())
    assert len(str(stopped.value).splitlines()) == 1


def flat(state: object) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    items = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [found for item in items for found in flat(item)]


@dataclass
class Patchy:
    """Scores of which all but every `every`-th are NaN."""

    every: int
    asked: int = 0

    def score(self, architecture: Architecture) -> float:
        self.asked += 1
        return 0.5 if self.every and self.asked % self.every == 0 else math.nan


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("random", RandomSettings(epochs=1, samples=7)),
        ("spos", METHODS["spos"]),
        ("tnas-os", replace(METHODS["tnas-os"], epochs=2)),  # type: ignore[type-var]
        ("tnas-g", METHODS["tnas-g"]),
        ("enas", METHODS["enas"]),
    ],
)
def test_a_score_that_is_nan_never_wins(method: str, settings: MethodSettings) -> None:
    space = SearchSpace(PlantedSpace(8, 8, 2))
    seed_everything(0)
    searcher = methods.METHODS[method](space, lambda _: True, settings)
    scores: dict[Architecture, float] = {}
    patchy = Patchy(every=3)

    class Remembered:
        def score(self, architecture: Architecture) -> float:
            scores[architecture] = patchy.score(architecture)
            return scores[architecture]

    search = Search(searcher, SearchProblem(space), Remembered(), 0)
    found = search.run(SilentProgress())
    assert math.isfinite(scores[found])
    candidates = [row for row in search.history if row["phase"] == "search-candidate"]
    unscored = [row for row in candidates if row["score"] is None]
    assert unscored
    assert {row["reason"] for row in unscored} == {"its answers are not finite numbers"}
    assert "NaN" not in json.dumps(search.history)
    assert "Infinity" not in json.dumps(search.history)


def test_a_search_of_which_no_candidate_has_a_score_fails() -> None:
    space = SearchSpace(PlantedSpace(8, 8, 2))
    searcher = methods.METHODS["random"](space, lambda _: True, RandomSettings(epochs=1, samples=4))
    with pytest.raises(DivergedError, match=r"all 4 candidates are not finite numbers; .* method\.weights\.lr"):
        Search(searcher, SearchProblem(space), Patchy(every=0), 0).run(SilentProgress())


def test_candidates_whose_logits_are_nan_have_no_score() -> None:
    search = searching("random", METHODS["random"])
    assert search.training is not None
    path = search.method.space.sample(np.random.default_rng(0))
    assert math.isfinite(search.evaluator.score(path))
    with torch.no_grad():
        for name, value in search.training.net.named_parameters():
            if name.startswith("nodes.exit"):
                value.fill_(torch.nan)
    assert math.isnan(search.evaluator.score(path))
