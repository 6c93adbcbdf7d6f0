"""The loss that stands for an objective, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mixed import MixedConfig

from mango_grader.automl.cost import macs
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.objective import Metric, Objective, Over
from mango_grader.automl.sandwich import extremes
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.surrogate import surrogate_loss, undecided

PROBLEM = SearchProblem(SearchSpace(MixedConfig(8, 8, 3)))
LABELS = np.array([0] * 6 + [1] * 2 + [2] * 2)
LOGITS = [torch.tensor([[2.0, 0.5, -1.0], [0.3, 0.1, 0.2]]) * scale for scale in (1.0, 3.0)]
ANSWERS = torch.tensor([1, 2])


def loss(metric: Metric = "accuracy", over: Over = "mean") -> float:
    problem = replace(PROBLEM, objective=Objective(metric, over))
    return float(surrogate_loss(problem, LABELS)(LOGITS, ANSWERS))


def test_accuracy_is_cross_entropy_and_over_says_which_exits_count() -> None:
    first, last = (float(F.cross_entropy(each, ANSWERS)) for each in LOGITS)
    assert loss(over="mean") == pytest.approx((first + last) / 2)
    assert loss(over="last") == pytest.approx(last)
    near, far = macs(PROBLEM.space).expected(undecided(PROBLEM.space)).tolist()
    most = macs(PROBLEM.space).exact(extremes(PROBLEM.space)[1])[-1]
    assert loss(over="area") == pytest.approx(((far - near) * first + (most - far) * last) / (most - near))


def test_balanced_accuracy_weighs_rare_classes_more() -> None:
    weights = torch.tensor([1 / 6, 1 / 2, 1 / 2])
    assert loss("balanced_accuracy", "last") == pytest.approx(float(F.cross_entropy(LOGITS[1], ANSWERS, weights)))


def test_kappa_forgives_an_answer_next_to_the_label() -> None:
    problem = replace(PROBLEM, objective=Objective("kappa", "last"))
    stand_in, label = surrogate_loss(problem, LABELS), torch.tensor([2])
    near, far = (stand_in([9.0 * F.one_hot(torch.tensor([answer]), 3)] * 2, label) for answer in (1, 0))
    assert far > 1.9 * near


def test_an_undecided_space_prefers_nothing() -> None:
    chances = undecided(PROBLEM.space)
    assert {name: part.tolist() for name, part in chances.items()} == {
        "node": [0.5] * 4,
        "one": [0.5] * 2,
        "any": [0.5] * 3,
    }
