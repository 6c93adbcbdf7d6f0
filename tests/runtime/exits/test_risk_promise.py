"""What stopping early costs stays below the risk as often as promised; a wrong bound is found out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from noisy_fruit import calibration_of, draw_fruit, load_stages, make_noisy_bundle
from numpy.typing import NDArray

from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.calibration.fitting import fit_temperature
from mango_grader.runtime.exits import CalibrationSet, ExitPolicy, Full, Risk, parse_exit_policy, stop_exits
from mango_grader.runtime.exits.risk import THRESHOLDS
from mango_grader.runtime.exits.shares import NEVER
from mango_grader.runtime.inference.model_context import policy_context
from mango_grader.runtime.inference.sessions import softmax

RESAMPLES = 200
MOST_BROKEN = {0.05: 18, 0.1: 30}  # by delta: of 200, with 99 % probability
EVERYONE = slice(None)

Choose = Callable[[CalibrationSet, tuple[float, ...], float, float], ExitPolicy]


@dataclass(frozen=True, eq=False)
class Population:
    """Fruit with the answers of a real network, from which calibration fruit are drawn; it is the truth, too.

    Attributes:
        logits: (K, G, images of a fruit, C).
        labels: (G,).
        draws: for each resample, the rows of its fruit, and the temperatures that are fitted on them.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int32]
    draws: tuple[tuple[NDArray[np.int64], tuple[float, ...]], ...]

    @classmethod
    def of(cls, count: int, per_fruit: int, drawn: int, seed: int) -> "Population":
        """Return `count` fruit with `per_fruit` images of each, and resamples of `drawn` fruit."""
        fruit = draw_fruit(count, seed, per_fruit)
        logits = calibration_of(fruit).logits.reshape(3, count, per_fruit, 3)
        labels = fruit.labels[::per_fruit]
        draws = []
        for resample in range(RESAMPLES):
            rows = np.random.default_rng(resample).integers(0, count, drawn)
            truth = np.repeat(labels[rows], per_fruit)
            # The last exit's temperature is of no use to a policy.
            fitted = (fit_temperature(logits[index, rows].reshape(-1, 3), truth) for index in range(2))
            draws.append((rows, (*fitted, 1.0)))
        return cls(logits, labels, tuple(draws))

    def answers(self, rows: NDArray[np.int64] | slice, temperatures: tuple[float, ...]) -> CalibrationSet:
        """Return calibrated answers to some of the fruit."""
        logits, labels = self.logits[:, rows], self.labels[rows]
        exits, count, per_fruit, classes = logits.shape
        each = zip(logits.reshape(exits, -1, classes), temperatures, strict=True)
        groups = np.repeat(np.arange(count), per_fruit)
        return CalibrationSet(np.stack([softmax(*one) for one in each]), groups, np.repeat(labels, per_fruit))


def risk_of(policy: ExitPolicy, answers: CalibrationSet) -> float:
    """Return the share of fruit that are newly wrong; all have equally many images, which stand together."""
    stops = stop_exits(policy, answers.probabilities)
    given = answers.probabilities.argmax(axis=2)
    lost = (given[stops, np.arange(len(stops))] != answers.labels) & (given[-1] == answers.labels)
    return float(lost.reshape(answers.group_count, -1).any(axis=1).mean())


def broken(choose: Choose, population: Population, eps: float, delta: float) -> int:
    """Return in how many resamples the true risk of the chosen policy is above `eps`."""
    count = 0
    for rows, temperatures in population.draws:
        policy = choose(population.answers(rows, temperatures), temperatures, eps, delta)
        count += risk_of(policy, population.answers(EVERYONE, temperatures)) > eps
    return count


@pytest.fixture(scope="module")
def single() -> Population:
    return Population.of(5_000, per_fruit=1, drawn=100, seed=11)


@pytest.fixture(scope="module")
def several() -> Population:
    return Population.of(2_000, per_fruit=3, drawn=120, seed=12)


def test_the_risk_is_exceeded_as_rarely_as_promised(single: Population) -> None:
    assert broken(Risk.of, single, 0.05, 0.1) <= MOST_BROKEN[0.1]


def test_a_small_risk_is_exceeded_as_rarely_as_promised() -> None:
    population = Population.of(5_000, per_fruit=1, drawn=480, seed=13)
    assert broken(Risk.of, population, 0.01, 0.05) <= MOST_BROKEN[0.05]


def test_several_images_of_a_fruit_count_as_one(several: Population) -> None:
    assert broken(Risk.of, several, 0.05, 0.1) <= MOST_BROKEN[0.1]


def test_the_check_finds_a_bound_that_is_none(single: Population) -> None:
    def plug_in(answers: CalibrationSet, temperatures: tuple[float, ...], eps: float, delta: float) -> Risk:
        """Choose the boldest threshold whose observed risk is at most eps, as if that were the true risk."""
        chosen = Risk(eps, delta, NEVER, temperatures)
        for threshold in THRESHOLDS[::8]:
            bolder = replace(chosen, threshold=threshold)
            if risk_of(bolder, answers) > eps:
                break
            chosen = bolder
        return chosen

    assert broken(plug_in, single, 0.05, 0.1) > MOST_BROKEN[0.1]


def test_the_check_finds_images_taken_for_fruit(several: Population) -> None:
    def by_image(answers: CalibrationSet, temperatures: tuple[float, ...], eps: float, delta: float) -> Risk:
        return Risk.of(replace(answers, groups=np.arange(len(answers.groups))), temperatures, eps, delta)

    assert broken(by_image, several, 0.05, 0.1) > MOST_BROKEN[0.1]


def test_two_thousand_fruit_prove_one_percent(tmp_path: Path) -> None:
    seen, fresh = draw_fruit(2_500, seed=21), draw_fruit(10_000, seed=22)
    path = make_noisy_bundle(tmp_path / "m.mango", calibration_of(seen), temperatures=(1.2, 1.1, 1.2))
    policy = parse_exit_policy("risk:eps=0.01,delta=0.05", policy_context(Bundle.open(path)))
    model = load_stages(path)
    answers, full = model.run(fresh.images, policy), model.run(fresh.images, Full())
    early = answers.history[answers.exits - 1, np.arange(10_000)].argmax(axis=1)
    last = full.history[-1].argmax(axis=1)
    newly_wrong = float(((early != fresh.labels) & (last == fresh.labels)).mean())
    assert 0 < newly_wrong <= 0.01
    assert (answers.exits < 3).mean() > 0.5  # and it is worth something
