"""The loss over all exits and what may join it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mango_grader.training.losses import (
    AnytimeLoss,
    SelfDistillationLoss,
    balanced_weights,
    cross_entropy,
    squared_earth_movers,
    training_loss,
)
from mango_grader.training.recipe import TrainRecipe


def logits(*exits: list[float]) -> list[torch.Tensor]:
    return [torch.tensor([each], requires_grad=True) for each in exits]


def test_exits_and_classes_are_weighed() -> None:
    answers, label = [torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])], torch.tensor([0])
    correct, wrong = (F.cross_entropy(each, label) for each in answers)
    torch.testing.assert_close(AnytimeLoss()(answers, label), (correct + wrong) / 2)
    torch.testing.assert_close(AnytimeLoss((3.0, 1.0))(answers, label), (3 * correct + wrong) / 4)
    weights = balanced_weights(np.array([0, 0, 0, 1]), 2)
    assert weights[1] == pytest.approx(3 * weights[0])
    assert balanced_weights(np.array([0, 0, 0, 1]), 2, strength=0.0) == pytest.approx([1, 1])


def test_a_recipe_that_asks_for_nothing_is_plain_cross_entropy() -> None:
    torch.manual_seed(0)
    answers, labels = [torch.randn(6, 3), torch.randn(6, 3)], torch.tensor([0, 1, 2, 0, 0, 1])
    recipe = TrainRecipe(exit_weights=(1.0, 2.0), label_smoothing=0.1, balance=0.5)
    weights = torch.tensor(balanced_weights(labels.numpy(), 3, 0.5), dtype=torch.float32)
    plain = [F.cross_entropy(each, labels, weights, label_smoothing=0.1) for each in answers]
    assert training_loss(recipe, labels.numpy(), 3)(answers, labels) == torch.stack([plain[0], 2 * plain[1]]).sum() / 3


def test_near_misses_cost_less_in_ordinal_loss_alone() -> None:
    truth = torch.tensor([0])
    near, far = torch.tensor([[0.0, 9.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 9.0]])
    assert squared_earth_movers(near, truth, None, 0.0) < squared_earth_movers(far, truth, None, 0.0) - 1
    torch.testing.assert_close(cross_entropy(near, truth, None, 0.0), cross_entropy(far, truth, None, 0.0))


def test_the_earth_movers_distance_of_certain_answers_is_the_number_of_grades_between() -> None:
    certain = 1000 * torch.eye(5)
    for label in range(5):
        each = [squared_earth_movers(row[None], torch.tensor([label]), None, 0.0) for row in certain]
        assert torch.stack(each).tolist() == pytest.approx([abs(label - answer) for answer in range(5)])


def test_ordinal_loss_weighs_classes_and_smooths_like_cross_entropy() -> None:
    torch.manual_seed(1)
    answers, labels, weights = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0]), torch.tensor([1.0, 4.0, 0.5])
    each = torch.stack([squared_earth_movers(answers[[i]], labels[[i]], None, 0.2) for i in range(5)])
    expected = (each * weights[labels]).sum() / weights[labels].sum()
    torch.testing.assert_close(squared_earth_movers(answers, labels, weights, 0.2), expected)
    uniform = torch.zeros(1, 3)
    assert squared_earth_movers(uniform, labels[:1], None, 0.999999).item() == pytest.approx(0, abs=1e-9)


def test_no_gradient_of_the_self_distillation_reaches_the_last_exit() -> None:
    answers, labels = logits([0.3, 0.1, 0.0], [0.0, 0.5, 0.0], [3.0, 0.0, -1.0]), torch.tensor([1])
    with_distillation = SelfDistillationLoss(AnytimeLoss(), weight=0.7, temperature=3.0)(answers, labels)
    without = AnytimeLoss()(answers, labels)
    gained = torch.autograd.grad(with_distillation - without, answers, allow_unused=True, retain_graph=True)
    assert gained[2].abs().max() < 1e-7
    assert gained[0][0, 0] < 0, "the teacher's answer becomes likelier"
    assert gained[1][0, 0] < 0
    soft = [F.softmax(each / 3, 1).detach() for each in answers]
    apart = [(soft[2] * (soft[2].log() - early.log())).sum() for early in soft[:2]]
    torch.testing.assert_close(with_distillation - without, 0.7 * 9 * (apart[0] + apart[1]) / 2)


def test_a_single_exit_has_nobody_to_teach() -> None:
    answers, labels = logits([0.3, 0.1]), torch.tensor([1])
    assert SelfDistillationLoss(AnytimeLoss(), 1.0, 2.0)(answers, labels) == AnytimeLoss()(answers, labels)


def test_the_auxiliary_exit_counts_with_its_weight_and_is_no_teacher() -> None:
    answers, labels = logits([0.3, 0.1], [0.0, 0.5], [4.0, -4.0]), torch.tensor([1])
    recipe = TrainRecipe(label_smoothing=0.0, auxiliary=0.4, distil=0.5, exit_weights=(1.0, 3.0))
    alone = training_loss(TrainRecipe(label_smoothing=0.0, distil=0.5, exit_weights=(1.0, 3.0)), labels.numpy(), 2)
    expected = alone(answers[:2], labels) + 0.4 * F.cross_entropy(answers[2], labels)
    torch.testing.assert_close(training_loss(recipe, labels.numpy(), 2)(answers, labels), expected)


@pytest.mark.parametrize("setting", ["ema", "drop_path", "dropout", "distil", "auxiliary", "distil_temperature"])
def test_settings_out_of_range_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        TrainRecipe(**{setting: -0.1})
