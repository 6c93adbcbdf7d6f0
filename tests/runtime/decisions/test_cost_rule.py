from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime import Argmax, Bundle, Cost, Full, Prices
from mango_grader.runtime.decisions import DecisionRule, Decisions, parse_decision_rule
from mango_grader.runtime.decisions.cost import price_file
from mango_grader.runtime.decisions.prices import ordinal_prices
from mango_grader.runtime.inference.model_context import policy_context, rule_context

CAUTIOUS = Prices(((0.0, 1.0), (10.0, 0.0)))
"""Calling the second class the first costs ten times as much as the other way round."""


def decide(rule: DecisionRule, *rows: tuple[float, ...]) -> Decisions:
    return rule.decide(np.array([rows], np.float32), np.ones(len(rows), np.int64))


def parse(path: Path, text: str) -> DecisionRule:
    bundle = Bundle.open(path)
    return parse_decision_rule(text, rule_context(bundle, policy_context(bundle), Full()))


def test_the_cheaper_answer_wins_over_the_more_probable_one() -> None:
    found = decide(Cost(CAUTIOUS), (0.95, 0.05), (0.8, 0.2), (0.1, 0.9))
    assert found.answers.tolist() == [0, 1, 1]
    assert found.review is None
    np.testing.assert_allclose(found.costs, [0.5, 0.8, 0.1], rtol=1e-6)


def test_a_person_is_asked_where_that_is_cheaper_than_the_best_answer() -> None:
    found = decide(Cost(Prices(CAUTIOUS.answers, (0.4, 0.6))), (0.99, 0.01), (0.95, 0.05), (0.1, 0.9))
    assert found.review is not None
    assert found.review.tolist() == [False, True, False]
    assert found.answers.tolist() == [0, 0, 1], "a review still has its best answer"
    np.testing.assert_allclose(found.costs, [0.1, 0.41, 0.1], rtol=1e-6)


def test_a_look_that_costs_as_much_as_the_answer_is_not_asked_for() -> None:
    found = decide(Cost(Prices(((0.0, 1.0), (1.0, 0.0)), (0.25, 0.25))), (0.75, 0.25))
    assert found.review is not None
    assert found.review.tolist() == [False]


def test_of_answers_that_cost_the_same_the_most_probable_is_given() -> None:
    free = Cost(Prices(((0.0,) * 3,) * 3))
    assert decide(free, (0.2, 0.3, 0.5), (0.1, 0.8, 0.1), (0.4, 0.3, 0.3)).answers.tolist() == [2, 1, 0]


def test_ordinal_prices_answer_the_median_grade() -> None:
    found = decide(Cost(ordinal_prices(3)), (0.45, 0.1, 0.45), (0.4, 0.25, 0.35), (0.6, 0.0, 0.4))
    assert found.answers.tolist() == [1, 1, 0]


def expected_cost(probabilities: NDArray[np.float64], prices: Prices, decisions: Decisions) -> NDArray[np.float64]:
    """Return what decisions cost if the probabilities are right, computed row by row."""
    costs = []
    for row, (p, answer) in enumerate(zip(probabilities, decisions.answers, strict=True)):
        paid = prices.review if decisions.review is not None and decisions.review[row] else None
        costs.append(sum(p[true] * (paid[true] if paid else prices.answers[true][answer]) for true in range(len(p))))
    return np.array(costs)


@pytest.mark.parametrize("seed", range(40))
def test_the_expected_cost_is_never_above_that_of_the_most_probable_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 8))
    scale = 10.0 ** rng.integers(-3, 4)
    answers = rng.normal(scale=scale, size=(classes, classes))
    if seed % 3:
        answers = np.abs(answers) * (1 - np.eye(classes))
    review = tuple(rng.uniform(0, scale, classes).tolist()) if seed % 2 else None
    prices = Prices(tuple(map(tuple, answers.tolist())), review)
    p = rng.dirichlet(np.full(classes, 0.5), 500).astype(np.float32)
    history, exits = p[None], np.ones(500, np.int64)
    ours, argmax = Cost(prices).decide(history, exits), Argmax().decide(history, exits)
    cost = expected_cost(p.astype(np.float64), prices, ours)
    assert (cost <= expected_cost(p.astype(np.float64), prices, argmax) + 1e-9 * scale).all()
    np.testing.assert_allclose(ours.costs, cost, atol=1e-9 * scale)


def test_costs_are_realised_by_the_true_class() -> None:
    rule = Cost(Prices(CAUTIOUS.answers, (0.4, 0.6)))
    found = decide(rule, (0.99, 0.01), (0.95, 0.05), (0.1, 0.9))
    assert rule.realised(found, np.array([1, 1, 1])).tolist() == [10.0, 0.6, 0.0]
    assert rule.realised(decide(Argmax(), (0.3, 0.7)), np.array([0])).tolist() == [1.0]
    with pytest.raises(ValueError, match="no price"):
        Cost(CAUTIOUS).realised(found, np.array([0, 0, 0]))


def test_texts_name_prices(tmp_path: Path) -> None:
    plain, priced = make_bundle(tmp_path / "a.mango"), make_bundle(tmp_path / "b.mango", ordinal=True, prices=ORDERED)
    with pytest.raises(UsageError, match="keeps no prices"):
        parse(plain, "cost")
    with pytest.raises(UsageError, match="not in order"):
        parse(plain, "cost:ordinal")
    assert parse(priced, "cost") == Cost(ORDERED)
    assert parse(priced, "cost:ordinal") == Cost(ordinal_prices(3))
    assert parse(priced, "cost:ordinal,review=0.3") == Cost(ordinal_prices(3, 0.3))
    for text in ("cost:ordinal,", "cost:ordinal,look=1", "cost:ordinal,review=x", "cost:ordinal,review=", "cost:"):
        with pytest.raises(UsageError, match="cost"):
            parse(priced, text)


ORDERED = Prices(((0.0, 1.0, 9.0), (1.0, 0.0, 3.0), (9.0, 3.0, 0.0)), (0.5, 0.5, 0.5))


def test_a_rule_prints_its_numbers_not_its_file(tmp_path: Path) -> None:
    model, file = make_bundle(tmp_path / "m.mango"), tmp_path / "prices.csv"
    table = "true,green,yellow,red\ngreen,0,1,{}\nyellow,1,0,1\nred,2,1,0\n"
    printed = []
    for number in (2, 2, 3):
        file.write_text(table.format(number))
        printed.append(str(parse(model, f"cost:{file}")))
    assert printed[0] == printed[1] != printed[2]
    assert str(Cost(ordinal_prices(3))) == printed[0]


def test_a_text_names_its_file() -> None:
    texts = ("argmax", "cost", "cost:ordinal", "cost:ordinal,review=1", "cost:ordinal.csv", "cost:a:b.csv")
    assert [price_file(text) for text in texts] == [None, None, None, None, "ordinal.csv", "a:b.csv"]
