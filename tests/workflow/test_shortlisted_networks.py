"""The last choice of a search: short trainings of a few networks, compared on images that none has seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shortlist import Rung
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.automl.surrogate import surrogate_loss
from mango_grader.automl.timetable import Stopwatch
from mango_grader.models import FromBytes, build_network
from mango_grader.progress import SilentProgress
from mango_grader.training.device import Device
from mango_grader.workflow.hand_over import Found, InheritedWeights, Shortlist, ShortTrainings
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.run.budget import BudgetPlan
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import prepare
from mango_grader.workflow.run.folder import RunFolder

SPACE = SearchSpace(
    LayerwiseConfig(24, 24, 3, depth=3, channels=8, stem_channels=8, reduce_at=(2,), kernels=(3, 5), exits=(1, 3))
)
PLAN = BudgetPlan(1.0, 4, 1000.0, 1000.0, 5.0, None, shortlist_s=500.0)


@pytest.fixture
def run(fruit: Path, tmp_path: Path) -> RunContext:
    still = ("train.weights.lr=0", "train.batch_size=8")
    config = SearchOptions(
        data=str(fruit), size=(24, 24), device="cpu", teacher="none", settings=still, space="layerwise"
    ).config()
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    data = prepare(config.data, folder, SilentProgress())
    return RunContext(folder, config, data, Device("cpu"), SilentProgress())


def trainings(run: RunContext) -> ShortTrainings:
    shown, held_out = run.data.held_out(0.3, 0)
    return ShortTrainings(run, shown, held_out, surrogate_loss(SearchProblem(SPACE), held_out.targets))


def networks(run: RunContext, steps: tuple[int, ...]) -> list[Found]:
    """Return a network for each number of steps that its weights have learned."""
    rng, found = np.random.default_rng(0), []
    batch = run.data.train.take(np.arange(len(run.data.train)))
    for count in steps:
        torch.manual_seed(0)
        one = Found.of(SPACE.sample(rng))
        net = build_network(one.spec)
        optimiser = torch.optim.Adam(net.parameters(), 0.01)
        for _ in range(count):
            optimiser.zero_grad()
            losses = [torch.nn.functional.cross_entropy(each, batch.labels) for each in net(FromBytes()(batch.images))]
            torch.stack(losses).sum().backward()
            optimiser.step()
        found.append(replace(one, weights=InheritedWeights(net.state_dict(), 1, 1)))
    return found


def test_the_network_that_does_best_after_short_trainings_is_chosen(run: RunContext) -> None:
    """Not the one of the best score: 90 images cannot tell networks apart by accuracy."""
    listed = networks(run, (0, 8, 0, 30))
    shortlist = Shortlist(listed, [0.9, 0.8, None, 0.1], (Rung(4, 1), Rung(2, 2)))
    assert trainings(run).choose(shortlist, PLAN) is listed[3]
    first, second = shortlist.losses
    assert list(first) == [0, 1, 2, 3]
    assert list(second) == [1, 3], "the better half goes on"
    losses = [loss for loss in first.values() if loss is not None]
    assert losses[3] < losses[1] < min(losses[0], losses[2])
    rows = run.folder.read_history()
    assert [(row["rung"], row["network"], row["epochs"]) for row in rows] == [
        (1, 1, 1), (1, 2, 1), (1, 3, 1), (1, 4, 1), (2, 2, 2), (2, 4, 2),
    ]  # fmt: skip
    assert [row["network"] for row in rows if row["chosen"]] == [4, 4]


def test_a_choice_that_was_interrupted_ends_the_same(run: RunContext) -> None:
    listed = networks(run, (0, 8, 4, 12))
    rungs = (Rung(4, 1), Rung(2, 2))
    whole = Shortlist(listed, [None] * 4, rungs)
    winner = trainings(run).choose(whole, PLAN)
    history = run.folder.history.read_bytes()
    broken = Shortlist(listed, [None] * 4, rungs, losses=[dict(list(whole.losses[0].items())[:2])])
    broken.save(run.folder)
    again = Shortlist.load(run.folder)
    assert again.losses == broken.losses
    assert trainings(run).choose(again, PLAN).architecture == winner.architecture
    assert again.losses == whole.losses
    assert run.folder.history.read_bytes() == history
    assert Shortlist.load(run.folder).losses == whole.losses, "each result is written down at once"
    again.forget_weights(run.folder)
    assert not list(run.folder.path.glob("shortlist/*"))


def test_a_network_whose_training_diverges_is_dropped(run: RunContext) -> None:
    listed = networks(run, (0, 0, 0))
    assert listed[0].weights is not None
    broken = {
        name: torch.full_like(value, torch.nan) if value.ndim else value
        for name, value in listed[0].weights.state.items()
    }
    listed[0] = replace(listed[0], weights=InheritedWeights(broken, 1, 1))
    shortlist = Shortlist(listed, [None] * 3, (Rung(3, 1),))
    assert trainings(run).choose(shortlist, PLAN) is not listed[0]
    assert shortlist.losses[0][0] is None


class Late(Stopwatch):
    """A watch on which the time is over from the beginning."""

    @property
    def seconds(self) -> float:
        return super().seconds + 1e6


def test_a_late_search_takes_time_from_the_short_list(run: RunContext) -> None:
    listed = networks(run, (0, 8, 0, 12))
    rungs = (Rung(4, 1), Rung(2, 2))
    hurried = replace(run, config=replace(run.config, budget=1e5))
    assert trainings(hurried).rungs(listed, PLAN)
    late = replace(hurried, watch=Late())
    assert trainings(late).rungs(listed, PLAN) == ()
    shortlist = Shortlist(listed, [None] * 4, rungs)
    assert trainings(late).choose(shortlist, PLAN) is listed[3]
    assert len(shortlist.losses) == 1, "no rung begins that the final training would have to pay for"


def test_without_a_choice_nothing_is_trained(run: RunContext) -> None:
    listed = networks(run, (0, 0))
    assert trainings(run).rungs(listed[:1], PLAN) == ()
    assert trainings(run).rungs(listed, replace(PLAN, shortlist_s=None)) == ()
    assert trainings(run).rungs(listed, PLAN) == (Rung(2, 2),)
    assert trainings(run).choose(Shortlist(listed, [None] * 2, ()), PLAN) is listed[0]
    assert not run.folder.history.exists()
