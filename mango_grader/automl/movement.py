"""What a search has changed since its first step, beside what chance would change, and how far its steps can reach."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from mango_grader.automl.spaces import Decision
from mango_grader.text import counted

Preference = Mapping[str, NDArray[np.float64]]
"""By decision, how likely each candidate is to be chosen, (candidates,) in [0, 1]."""

LEAST = 0.01
"""Less than this share of what was open counts as nothing: probabilities still differ by no more than about a fifth."""
_SELDOM = 0.001  # how often chance may pass for movement
_PICKED = 0.05  # how often the best of equally good candidates may pass for better
_LONGER = 1.5  # steps of Adam, than its rate: while slopes grow, their mean square lags behind
_SIMULATED = 4000  # searches among equally good candidates
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Pick:
    """Where the best of the scored candidates stands, beside the noise of the held-out images.

    Attributes:
        candidates: how many were scored, 2 or more.
        spread: standard deviation of their scores.
        lead: how much higher the best one scored than the median one.
        noise: standard deviation of one score by the choice of held-out images alone, those errors left out that all
            candidates share.
    """

    candidates: int
    spread: float
    lead: float
    noise: float

    @property
    def chance(self) -> float:
        """The lead that the best of as many equally good candidates exceeds in one search of 20."""
        return self.noise * _lead_by_chance(self.candidates)

    @property
    def clear(self) -> bool:
        """Whether the lead is more than chance gives."""
        return self.lead > self.chance


@cache
def _lead_by_chance(candidates: int) -> float:
    """Return by how many standard deviations the best of equally good candidates exceeds the median one at most."""
    scores = np.sort(np.random.default_rng(0).normal(size=(_SIMULATED, candidates)))
    return float(np.quantile(scores[:, -1] - scores[:, (candidates - 1) // 2], 1 - _PICKED))


@dataclass(frozen=True)
class Movement:
    """What a search has changed since its first step.

    Attributes:
        decided: how much of what was open at first the method's preference decides at the end, from 0 (all is as it
            was) to 1 (one choice is left): 1 less its entropy relative to the first, which is even. None for a method
            that prefers nothing.
        chance: what `decided` has to exceed, to be more than the chance of its draws and more than next to nothing.
        kept: how many candidates are left, and how many there were; None for a method that takes none away.
        kept_macs: share of the complete graph's multiply-adds that these have, 0..1; None where it was not counted.
        pick: where the result stands among the candidates that were scored; None where it was not picked by scores.
    """

    decided: float | None = None
    chance: float = 0.0
    kept: tuple[int, int] | None = None
    kept_macs: float | None = None
    pick: Pick | None = None

    @property
    def moved(self) -> bool:
        """Whether the search changed anything: a preference, candidates left, or else a clear pick."""
        if self.decided is None and self.kept is None:
            return self.pick is None or self.pick.clear
        return (self.decided is not None and self.decided > self.chance) or (
            self.kept is not None and self.kept[0] < self.kept[1]
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Movement":
        """Rebuild from the data of `dataclasses.asdict`, as read from JSON."""
        kept, pick = data["kept"], data["pick"]
        return cls(**{**data, "kept": kept and tuple(kept), "pick": pick and Pick(**pick)})

    @property
    def sentences(self) -> tuple[str, ...]:
        """What moved, one short sentence each, without a full stop."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.decided is not None:
            yield f"{_percent(self.decided)} of what was open is decided (by chance up to {_percent(self.chance)})"
        if self.kept is not None:
            left, candidates = self.kept
            macs = "" if self.kept_macs is None else f", with {_percent(self.kept_macs)} of the multiply-adds"
            yield f"{left} of {candidates} candidates are left{macs}"
        if self.pick is not None:
            yield (
                f"the best of {self.pick.candidates} candidates scored {self.pick.lead:.3f} above the median one"
                f" (by chance up to {self.pick.chance:.3f}); their scores have a standard deviation of"
                f" {self.pick.spread:.3f}, of which the held-out images alone make {self.pick.noise:.3f}"
            )


def too_few_steps(name: str, steps: int, reach: float, rates: Sequence[str]) -> str | None:
    """Return in one sentence why so few architecture steps can move nothing; None where they can.

    Args:
        name: of the method.
        steps: that its schedule has.
        reach: what `SearchMethod.reach` returns for them.
        rates: at which it learns, each as "setting (it is 0.1)".
    """
    if reach >= LEAST:
        return None
    most = f"decide at most {_percent(reach)} of what is open" if reach else "decide nothing"
    return (
        f"{name} can move nothing here: its {counted(steps, 'architecture step')} can {most}."
        f" Give it more epochs, smaller batches or more images, or raise {' or '.join(rates)}"
    )


def preference_moved(
    decisions: Sequence[Decision], before: Preference, after: Preference, draws: int | None
) -> Movement:
    """Return how far a preference has moved.

    Args:
        decisions: of the space.
        before: the preference before the first step.
        after: the preference now.
        draws: how many draws each of the two was counted from; None where they are exact.
    """
    open_at_first = sum(entropy(decision, before[decision.name]) for decision in decisions)
    if open_at_first < _SMALLEST:
        return Movement()
    moved = sum(_divergence(d, after[d.name], before[d.name], draws) for d in decisions)
    # Twice the draws times the divergence of two samples of one distribution follows twice a χ² (the G-test).
    degrees = sum(len(decision.candidates) - (not decision.free) for decision in decisions)
    by_chance = 0.0 if draws is None else float(chi2.ppf(1 - _SELDOM, degrees)) / draws / open_at_first
    return Movement(moved / open_at_first, max(LEAST, by_chance))


def most_decided(decisions: Sequence[Decision], gap: float) -> float:
    """Return what is decided at most, as `Movement.decided` counts it, where logits that began equal lie `gap` apart.

    Args:
        decisions: of the space.
        gap: largest difference between two logits of a decision, 0 or more; of a free subset, twice that of each
            candidate from zero.
    """
    decided = open_at_first = 0.0
    for decision in decisions:
        count = len(decision.candidates)
        even = np.full(count, 0.5 if decision.free else decision.min_chosen / count)
        open_at_first += entropy(decision, even)
        if decision.free:
            decided += _divergence(decision, np.full(count, 1 / (1 + np.exp(-gap / 2))), even, None)
        else:
            ahead = (np.where(np.arange(count) < raised, 1.0, np.exp(-gap)) for raised in range(1, count + 1))
            decided += max(_divergence(decision, each / each.sum(), even, None) for each in ahead)
    return decided / open_at_first if open_at_first else 1.0


def adam_gap(rate: float, steps: int) -> float:
    """Return how far apart two logits can come that Adam moves in opposite directions.

    Args:
        rate: of Adam, above 0.
        steps: 0 or more.
    """
    return 2 * _LONGER * rate * steps


def entropy(decision: Decision, chances: NDArray[np.float64]) -> float:
    """Return how open a decision is, in nats: that of one draw, or of a free subset the sum over its candidates.

    Args:
        decision: what is decided.
        chances: how likely each candidate is to be chosen, (candidates,).
    """
    return float(-sum((each * np.log(each.clip(min=_SMALLEST))).sum() for each in _draws(decision, chances, None)))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _divergence(decision: Decision, now: NDArray[np.float64], then: NDArray[np.float64], draws: int | None) -> float:
    """Return the Kullback-Leibler divergence of `now` from `then`, in nats."""
    pairs = zip(_draws(decision, now, draws), _draws(decision, then, draws), strict=True)
    return float(sum((new * np.log(new.clip(min=_SMALLEST) / old.clip(min=_SMALLEST))).sum() for new, old in pairs))


def _draws(decision: Decision, chances: NDArray[np.float64], draws: int | None) -> list[NDArray[np.float64]]:
    """Return the distributions that a decision draws from; half a draw is added to what was counted (Jeffreys)."""
    if decision.free:
        parts = [np.array([chance, 1 - chance]) for chance in chances]
    else:
        total = float(chances.sum())
        parts = [chances / total if total > 0 else np.full(len(chances), 1 / len(chances))]
    return parts if draws is None else [(part * draws + 0.5) / (draws + len(part) / 2) for part in parts]
