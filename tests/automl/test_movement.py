"""What counts as movement, beside what chance gives."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.automl.movement import LEAST, Movement, Pick, most_decided, preference_moved, too_few_steps
from mango_grader.automl.spaces import Decision

DRAWS = 256
CHAIN = tuple(Decision(f"layer{n}", ("k3", "k5", "k7", "k9", "skip")) for n in range(8))
DAG = tuple(Decision(f"in{n}", tuple("abcdefg"), 0, 7) for n in range(10))
TWO = (Decision("node", tuple("abcd"), 2, 2, groups=((0, 1), (2, 3))),)


def even(decisions: tuple[Decision, ...]) -> dict[str, NDArray[np.float64]]:
    return {d.name: np.full(len(d.candidates), 0.5 if d.free else d.min_chosen / len(d.candidates)) for d in decisions}


def counted(chances: dict[str, NDArray[np.float64]], decisions: tuple[Decision, ...], rng: np.random.Generator) -> (
    dict[str, NDArray[np.float64]]
):  # fmt: skip
    """Return the frequencies of draws: a binomial for each candidate of a free subset, else multinomials."""
    return {
        d.name: (rng.binomial(DRAWS, chances[d.name]) if d.free else rng.multinomial(DRAWS, chances[d.name])) / DRAWS
        for d in decisions
    }


@pytest.mark.parametrize("decisions", [CHAIN, DAG], ids=["chain", "dag"])
def test_draws_of_a_sampler_that_learned_nothing_seldom_pass_for_movement(decisions: tuple[Decision, ...]) -> None:
    rng, same = np.random.default_rng(0), even(decisions)
    pairs = [(counted(same, decisions, rng), counted(same, decisions, rng)) for _ in range(1000)]
    found = [preference_moved(decisions, before, after, DRAWS) for before, after in pairs]
    assert sum(each.moved for each in found) <= 5, "one of 1,000 is expected"
    assert 0 < np.mean([each.decided or 0.0 for each in found]) < LEAST, "chance is not nothing"


@pytest.mark.parametrize("decisions", [CHAIN, DAG], ids=["chain", "dag"])
def test_draws_of_a_sampler_that_learned_one_decision_of_many_pass_for_movement(
    decisions: tuple[Decision, ...],
) -> None:
    rng, before = np.random.default_rng(0), even(decisions)
    first = decisions[0]
    learned = dict(before)
    learned[first.name] = np.array([0.9] * 7 if first.free else [0.8, 0.05, 0.05, 0.05, 0.05])
    found = [
        preference_moved(decisions, counted(before, decisions, rng), counted(learned, decisions, rng), DRAWS)
        for _ in range(100)
    ]
    assert all(each.moved for each in found)


def test_what_is_decided_is_the_share_of_the_entropy_that_is_gone() -> None:
    before = even(CHAIN)
    none = preference_moved(CHAIN, before, before, None)
    assert (none.decided, none.chance, none.moved) == (0.0, LEAST, False)
    settled = {name: np.eye(5)[2] for name in before}
    assert preference_moved(CHAIN, before, settled, None).decided == pytest.approx(1.0)
    half = {name: settled[name] if n < 4 else before[name] for n, name in enumerate(before)}
    assert preference_moved(CHAIN, before, half, None).decided == pytest.approx(0.5)
    dag = even(DAG)
    assert preference_moved(DAG, dag, {name: np.ones(7) for name in dag}, None).decided == pytest.approx(1.0)
    node = preference_moved(TWO, even(TWO), {"node": np.array([1.0, 0.0, 1.0, 0.0])}, None)
    assert node.decided == pytest.approx(0.5), "two of four are left"


def test_a_space_without_a_choice_has_nothing_that_moves() -> None:
    only = (Decision("only", ("k3",)),)
    assert preference_moved(only, even(only), even(only), None).decided is None
    assert most_decided(only, 1.0) == 1.0


@pytest.mark.parametrize("decisions", [CHAIN, DAG, TWO], ids=["chain", "dag", "two"])
def test_a_gap_of_logits_decides_no_more_than_its_bound(decisions: tuple[Decision, ...]) -> None:
    rng, before = np.random.default_rng(0), even(decisions)
    for gap in (0.1, 1.0, 5.0):
        found = []
        for _ in range(50):
            logits = {d.name: rng.choice([-gap / 2, gap / 2], len(d.candidates)) for d in decisions}
            after = {
                d.name: 1 / (1 + np.exp(-logits[d.name]))
                if d.free
                else d.min_chosen * np.exp(logits[d.name]) / np.exp(logits[d.name]).sum()
                for d in decisions
            }
            found.append(preference_moved(decisions, before, after, None).decided or 0.0)
        assert 0.4 * most_decided(decisions, gap) < max(found) <= most_decided(decisions, gap) + 1e-9
    assert most_decided(decisions, 0.0) == pytest.approx(0.0, abs=1e-12)


def test_what_is_said_before_the_search() -> None:
    said = too_few_steps("betanas", 120, 0.0015, ["method.binary.lr (it is 0.001)"])
    assert said is not None
    assert said.startswith("betanas can move nothing here: its 120 architecture steps can decide at most 0.1 % of what")
    assert said.endswith("or raise method.binary.lr (it is 0.001)")
    assert too_few_steps("betanas", 1200, LEAST, []) is None


def test_candidates_that_are_left_count_as_movement_and_so_does_a_clear_pick() -> None:
    assert not Movement(decided=0.005, chance=0.01, kept=(9, 9)).moved
    assert Movement(decided=0.005, chance=0.01, kept=(8, 9)).moved
    assert Movement(pick=Pick(100, 0.03, 0.10, 0.02)).moved
    assert not Movement(pick=Pick(100, 0.03, 0.06, 0.02)).moved, "by chance up to 0.066"
    assert not Movement(decided=0.0, pick=Pick(100, 0.03, 0.10, 0.02)).moved, "its preference did not move"


def test_the_best_of_more_candidates_has_to_be_further_ahead() -> None:
    rng = np.random.default_rng(1)
    for count in (2, 20, 200):
        scores = np.sort(rng.normal(size=(4000, count)))
        leads = scores[:, -1] - scores[:, (count - 1) // 2]
        picks = [Pick(count, 1.0, float(lead), noise=1.0) for lead in leads]
        assert np.mean([pick.clear for pick in picks]) == pytest.approx(0.05, abs=0.012)


def test_movement_survives_json_and_says_what_moved() -> None:
    for found in (
        Movement(0.31, 0.012, (12, 72), 0.298, Pick(100, 0.031, 0.052, 0.02)),
        Movement(),
    ):
        assert Movement.from_dict(json.loads(json.dumps(asdict(found)))) == found
    whole = " ".join(Movement(0.31, 0.012, (12, 72), 0.298, Pick(100, 0.031, 0.052, 0.02)).sentences)
    for part in ("31.0 % of what was open", "by chance up to 1.2 %", "12 of 72 candidates", "29.8 % of the", "0.052"):
        assert part in whole
    assert Movement().sentences == ()
