"""Minutes become steps."""

import pytest

from mango_grader.automl.methods import EnasSettings, MethodSettings, Phase, Round
from mango_grader.errors import UsageError
from mango_grader.training.device import Device
from mango_grader.workflow.budget import MIN_TRAIN_EPOCHS, Rates, StepPlan, TrainCost, Workload, make_plan

RATES = Rates(weight_step=0.1, architecture_step=0.2, refit_step=0.0, score=0.5, training=TrainCost(2.0), fixed=20.0)


def workload(settings: MethodSettings) -> Workload:
    assert isinstance(settings, EnasSettings)
    rounds = (Round((Phase("weights", 10),)),) * settings.epochs + (Round((Phase("architecture", settings.steps),)),)
    return Workload(rounds, settings.scores)


def plan(budget: float | None, spent: float = 10.0) -> StepPlan:
    return make_plan(budget, RATES, EnasSettings(), workload, 60, spent, Device("cpu"))


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
    found = make_plan(120, RATES, None, None, 60, 10.0, Device("cpu"))
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
    assert probed.settle(RATES.training, 60, seconds=21.0).epochs == 10
    assert plan(None).settled, "without a budget the epochs are the preset's own"


def test_plans_survive_json() -> None:
    assert StepPlan.from_dict(plan(300).to_dict()) == plan(300)
