"""Minutes become steps."""

import json
from dataclasses import replace

import pytest

from mango_grader.automl.methods import EnasSettings, MethodSettings, Phase, Round
from mango_grader.automl.shortlist import ShortlistConfig
from mango_grader.automl.timetable import StepSeconds
from mango_grader.errors import UsageError
from mango_grader.workflow.run.budget import (
    MIN_TRAIN_EPOCHS,
    BudgetPlan,
    Probe,
    Shares,
    TrainCost,
    Workload,
    make_plan,
)

STEPS = StepSeconds(weights=0.1, architecture=0.2, refit=0.0, score=0.5)
PROBE = Probe(STEPS, TrainCost(2.0), fixed=20.0, spent=10.0)


def workload(settings: MethodSettings) -> Workload:
    assert isinstance(settings, EnasSettings)
    rounds = (Round((Phase("weights", 10),)),) * settings.epochs + (Round((Phase("architecture", settings.steps),)),)
    return Workload(rounds, settings.scores)


def seconds(effort: float) -> float:
    return workload(EnasSettings().scaled(effort)).seconds(STEPS)


def plan(budget: float | None) -> BudgetPlan:
    return make_plan(budget, 60, PROBE, seconds)


@pytest.mark.parametrize("budget", [60, 120, 300, 1200, 3600])
def test_plans_fit_their_budget_and_use_it(budget: float) -> None:
    found = plan(budget)
    assert found.total_s <= budget
    assert found.epochs >= MIN_TRAIN_EPOCHS
    if budget < 1200:  # beyond, the longest sensible run is shorter than the budget
        assert found.total_s >= 0.75 * budget


def test_longer_budgets_buy_more_of_both() -> None:
    short, long = plan(120), plan(600)
    assert long.effort > short.effort
    assert long.epochs > short.epochs


def test_no_budget_means_the_presets_own_length() -> None:
    found = plan(None)
    assert (found.effort, found.epochs) == (1.0, 60)
    assert found.search_s == pytest.approx(100 * 10 * 0.1 + 5000 * 0.2 + 50 * 0.5)


def test_too_short_names_the_smallest_that_works() -> None:
    with pytest.raises(UsageError, match="smallest feasible is") as caught:
        plan(20)
    smallest = float(str(caught.value).rsplit(" ", 2)[-2])
    assert plan(smallest + 1).epochs >= MIN_TRAIN_EPOCHS


def test_training_alone_gets_everything() -> None:
    found = make_plan(120, 60, PROBE)
    assert found.search_s == 0
    assert found.epochs == int((120 * 0.9 - 30) / 2.0)


def test_a_network_unlike_the_probed_one_gets_as_much_time_and_not_as_many_epochs() -> None:
    probed = plan(300)
    assert not probed.settled
    slow, quick = probed.settle(TrainCost(8.0), 60), probed.settle(TrainCost(1.0), 60)
    assert slow.settled
    assert slow.epochs == probed.epochs // 4
    assert quick.epochs in (2 * probed.epochs, 2 * probed.epochs + 1)
    assert max(slow.total_s, quick.total_s) <= probed.total_s + 2.0
    assert probed.settle(PROBE.training, 60, seconds=21.0).epochs == 10
    assert plan(None).settled, "without a budget the epochs are the preset's own"


@pytest.mark.parametrize("views", [0, 1, 3, 10, 1000])
@pytest.mark.parametrize("left", [1, 9, 50, 51.3, 137, 500, 5000])
def test_a_teachers_time_counts(views: int, left: float) -> None:
    cost = TrainCost(epoch=2.0, view=5.0, views=views, preparation=8.0)
    epochs = cost.epochs(left)
    assert epochs == MIN_TRAIN_EPOCHS or cost.seconds(epochs) <= left
    assert cost.seconds(epochs + 1) > left, "one more would not fit"
    assert cost.seconds(10) == 8 + 20 + 5 * min(views, 10)


def test_a_distilled_plan_fits_its_budget() -> None:
    probe = replace(PROBE, training=TrainCost(2.0, view=10.0, views=20, preparation=30.0))
    for budget in (200, 600, 2000):
        found = make_plan(budget, 60, probe, seconds)
        assert found.total_s <= budget
        assert found.epochs < plan(budget).epochs
        assert found.train_s == probe.training.seconds(found.epochs)
    with pytest.raises(UsageError, match="smallest feasible is"):
        make_plan(80, 60, probe, seconds)


def test_plans_survive_json() -> None:
    for found in (plan(300), replace(plan(300), rounds=(3, 4)), plan(None)):
        assert BudgetPlan.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_plan_of_an_earlier_version_is_read() -> None:
    data = plan(300).to_dict()
    for name in ("spent_s", "deadline_s", "steps", "rounds"):
        del data[name]
    assert BudgetPlan.from_dict(data).epochs == plan(300).epochs


@pytest.mark.parametrize("budget", [60, 120, 300, 1200])
def test_the_deadline_of_a_search_leaves_the_training_its_share(budget: float) -> None:
    """A search that took five times as long as planned left the training two epochs."""
    found = plan(budget)
    assert found.deadline_s is not None
    assert found.deadline_s + found.train_s + PROBE.fixed == pytest.approx(0.9 * budget)
    assert found.spent_s + found.search_s <= found.deadline_s + 1e-6
    assert found.train_s >= min(0.4 * (0.9 * budget - 30), 60 * 8 * 2.0)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_search_and_training_divide_a_budget_as_they_are_told(share: float) -> None:
    found = make_plan(600, 600, PROBE, seconds, Shares(share))
    assert found.train_s == pytest.approx(share * (0.9 * 600 - 30), abs=PROBE.training.epoch)
    assert found.search_s <= (1 - share) * (0.9 * 600 - 30) + PROBE.training.epoch


@pytest.mark.parametrize("budget", [60, 90, 120, 300])
def test_a_training_gets_enough_epochs_before_the_search_gets_more_than_the_shortest(budget: float) -> None:
    """A budget of 200 seconds beside busy processes left the training two epochs, 26 steps."""
    enough = replace(PROBE, training=replace(PROBE.training, enough=20))
    found = make_plan(budget, 60, enough, seconds, Shares(0.1))
    left = 0.9 * budget - 30
    assert found.epochs >= min(20, int((left - seconds(0.0)) / PROBE.training.epoch))
    assert found.total_s <= budget


def test_a_network_that_can_answer_already_need_not_be_trained() -> None:
    ready = TrainCost(2.0, preparation=10.0, fewest=0)
    assert plan(300).settle(ready, 60, seconds=-50.0).epochs == 0
    assert plan(300).settle(ready, 60, seconds=9.0).train_s == 0, "no teacher is made for nothing"
    assert plan(300).settle(TrainCost(2.0), 60, seconds=-50.0).epochs == MIN_TRAIN_EPOCHS


SHORTLIST = Shares(0.5, ShortlistConfig(size=6, epochs=2, share=0.2))


def test_a_short_list_has_its_share_of_the_time() -> None:
    found = make_plan(600, 60, PROBE, seconds, SHORTLIST)
    assert found.shortlist_s == pytest.approx(0.2 * (0.9 * 600 - 30))
    assert found.total_s <= 0.9 * 600
    assert found.deadline_s is not None
    assert found.deadline_s + found.shortlist_s + found.train_s + PROBE.fixed == pytest.approx(0.9 * 600)
    assert "short list 1 min" in str(found)
    assert make_plan(None, 60, PROBE, seconds, SHORTLIST).shortlist_s == (6 * 2 + 3 * 4) * PROBE.training.epoch


def test_where_there_is_no_time_for_a_short_list_the_plan_says_so() -> None:
    found = make_plan(90, 60, PROBE, seconds, SHORTLIST)
    assert found.shortlist_s == 0
    assert "no short list (too little time)" in str(found)
    without = make_plan(90, 60, PROBE, seconds)
    assert without.shortlist_s is None
    assert "short list" not in str(without)
    assert (found.effort, found.epochs) == (without.effort, without.epochs)
