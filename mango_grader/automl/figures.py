"""What the steps of a round report, and the end of a search whose figures are no longer finite numbers."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from mango_grader.automl.methods import SearchMethod
from mango_grader.ranges import allowed_values
from mango_grader.training.divergence import DivergedError, all_finite, lower_rate_hint


@dataclass(frozen=True)
class _Figure:
    step: int
    kind: str
    name: str
    value: Any


@dataclass
class RoundFigures:
    """The figures of the steps of one round; raises DivergedError at the first that is not finite.

    Attributes:
        method: the search method.
        where: what to call the round in an error.
        at_once: whether to check each figure as it comes, or all together at the end: a GPU would be waited for each
            time.
    """

    method: SearchMethod
    where: str
    at_once: bool = True
    _figures: list[_Figure] = field(default_factory=list)
    _step: int = 0

    @contextmanager
    def step(self, kind: str) -> Iterator[None]:
        """Take the next step, of that kind, in the body; explain what numbers that are not finite make it raise."""
        self._step += 1
        try:
            yield
        except (ValueError, ArithmeticError, RuntimeError) as error:  # to draw by NaN, for example
            if all_finite(self.method.state_dict()):
                raise
            raise self._lost(kind) from error
        # What a method itself learns is small, and on the CPU.
        if kind != "weights" and not all_finite(self.method.state_dict()):
            raise self._lost(kind)

    def add(self, kind: str, figures: Mapping[str, Any]) -> None:
        """Record what the current step reports.

        Args:
            kind: of the step.
            figures: by name; numbers or scalar tensors.
        """
        new = [_Figure(self._step, kind, name, value) for name, value in figures.items()]
        self._figures += new
        if self.at_once:
            self._require_finite(new)

    def means(self) -> dict[str, float]:
        """Return each figure's mean over the steps that reported it."""
        self._require_finite(self._figures)
        values: dict[str, list[float]] = {}
        for figure in self._figures:
            values.setdefault(figure.name, []).append(float(figure.value))
        return {name: float(np.mean(numbers)) for name, numbers in values.items()}

    def require_weights(self, weights: Mapping[str, Any]) -> None:
        """Raise DivergedError unless all shared weights are finite after the round."""
        if not all_finite(weights):
            raise self._diverged("weights", "shared weights are no longer finite numbers")

    def _require_finite(self, figures: list[_Figure]) -> None:
        for figure in figures:
            if not math.isfinite(value := float(figure.value)):
                raise self._diverged(figure.kind, f"the {figure.name.replace('_', ' ')} is {value}", figure.step)

    def _lost(self, kind: str) -> DivergedError:
        """Return the error for what the method has learned, unless a figure that was not looked at was the first."""
        try:
            self._require_finite(self._figures)
        except DivergedError as first:
            return first
        what = f"what {self.method.name} has learned is no longer made of finite numbers"
        others = " or ".join(learning_rates(self.method))
        if not others:
            return self._diverged(kind, what)
        return DivergedError(f"{self.where}, step {self._step} ({kind}): {what}; start again with a lower {others}")

    def _diverged(self, kind: str, what: str, step: int | None = None) -> DivergedError:
        # What a method has learned may weigh the outputs of any step, so that its rates are as likely to blame.
        advice = lower_rate_hint("method.weights", self.method.settings.weights)
        advice += "".join(f", or a lower {rate}" for rate in learning_rates(self.method))
        return DivergedError(f"{self.where}, step {step or self._step} ({kind}): {what}; {advice}")


def learning_rates(method: SearchMethod) -> list[str]:
    """Return the names and values of the rates at which a method learns, that of the shared weights aside.

    Args:
        method: whose settings are read.
    """
    settings = method.settings
    names = [name for name in allowed_values(settings) if name.split(".")[-1] == "lr"]
    others = [name for name in names if not name.startswith("weights.")]
    return [f"method.{name} (it is {reduce(getattr, name.split('.'), settings):g})" for name in others]
