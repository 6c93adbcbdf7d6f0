"""The page of an evaluation: exit policies and decision rules side by side, accuracy over cost, and the confusion."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mango_grader.files import write_text
from mango_grader.report import formatting
from mango_grader.report.charts import CARD, SERIES, amounts, chart, figure_of, is_narrow, percent
from mango_grader.report.formatting import shortened
from mango_grader.training.combinations import AnytimeCurve, CombinationMetrics

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_WIDE = 12.0


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """The content of an evaluation's page.

    Attributes:
        title: the photos that the model was evaluated on.
        model: path of the bundle or its run.
        precision: "fp32" or "int8".
        classes: class names, in the order of their indices.
        combinations: figures of every exit policy with every decision rule, one or more.
        confused: the one of them whose confusion is shown.
        anytime: accuracy over cost, exit by exit.
        refused: what the model does not allow, and why: name and reason.
        priced_by: the decision rule whose prices the costs are of; None where nothing is priced.
        warnings: what these figures warn of, one line each.
        errors: path → reason of the images that have no answer.
    """

    title: str
    model: str
    precision: str
    classes: tuple[str, ...]
    combinations: tuple[CombinationMetrics, ...]
    confused: CombinationMetrics
    anytime: AnytimeCurve
    refused: tuple[tuple[str, str], ...] = ()
    priced_by: str | None = None
    warnings: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_rule(self) -> dict[str, tuple[CombinationMetrics, ...]]:
        """Decision rule → its combinations, both in the order in which they were asked for."""
        rules = dict.fromkeys(one.decide for one in self.combinations)
        return {rule: tuple(one for one in self.combinations if one.decide == rule) for rule in rules}

    @property
    def by_policy(self) -> tuple[CombinationMetrics, ...]:
        """Each exit policy once: what it costs is the same for every rule."""
        return tuple({one.policy: one for one in reversed(self.combinations)}.values())[::-1]


def write_evaluation(path: str | os.PathLike[str], data: EvaluationData) -> None:
    """Write the page of an evaluation as an HTML file, whole or not at all.

    Args:
        path: the file to write; one that is there already is replaced.
        data: the content of the page.
    """
    write_text(path, render_evaluation(data))


def render_evaluation(data: EvaluationData) -> str:
    """Return the page as HTML: images and styles are inline, and nothing is loaded."""
    first = next(iter(data.by_rule.values()))
    return formatting.render(
        "evaluation.html", autoescape=True, data=data, warnings=data.warnings, curve=_curve(data.anytime, first)
    )


def _curve(curve: AnytimeCurve, policies: Sequence[CombinationMetrics]) -> str:
    """Draw accuracy over multiply-adds and over milliseconds: a line through the exits, and a mark for each policy."""
    timed = curve.ms is not None

    def draw(axes: list[Axes]) -> None:
        _over(axes[0], curve.macs, curve.accuracy, [(one, one.macs.value) for one in policies])
        amounts(axes[0], [*curve.macs, *(one.macs.value for one in policies)])
        axes[0].set(xlabel="work per image (multiply-adds)", ylabel="accuracy")
        if curve.ms is not None:
            found = [(one, one.latency.p50) for one in policies if one.latency is not None]
            _over(axes[1], curve.ms, curve.accuracy, found)
            axes[1].set(xlabel="ms per image, median, with decoding")
            axes[1].xaxis.set_major_locator(MaxNLocator(5))
        handles, labels = axes[0].get_legend_handles_labels()
        names = [shortened(label, 34) for label in labels]
        columns = 1 if is_narrow(axes[0]) else 4
        figure_of(axes[0]).legend(handles, names, loc="outside lower center", ncols=columns)

    rows = len(policies) + 1
    return chart(draw, _WIDE, 4.2 + 0.25 * -(-rows // 4), 1 + timed, narrow_height=2.7 + 0.13 * rows)


def _over(
    axis: Axes,
    costs: Sequence[float],
    accuracy: Sequence[float],
    policies: Sequence[tuple[CombinationMetrics, float]],
) -> None:
    axis.plot(costs, accuracy, "-", color=SERIES[0], label="exits")
    for place, (one, cost) in enumerate(policies):
        axis.plot(
            [cost], [one.answers.accuracy.value], _MARKS[place % len(_MARKS)],
            color=SERIES[(place + 1) % len(SERIES)], markeredgecolor=CARD, markersize=9, linestyle="none",
            label=one.policy,
        )  # fmt: skip
    axis.yaxis.set_major_formatter(percent())
