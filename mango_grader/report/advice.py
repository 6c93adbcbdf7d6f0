"""Which exit policy and decision rule to take for what a packing house has, with this run's own figures."""

from collections.abc import Iterator
from dataclasses import dataclass

from mango_grader.report.formatting import amount, percent, points
from mango_grader.training.combinations import CombinationMetrics


@dataclass(frozen=True)
class Advice:
    """One line of "if you have … take …".

    Attributes:
        have: what the user has or wants.
        take: the options to paste.
        expect: what this run's test images say about it.
    """

    have: str
    take: str
    expect: str


def advice(combinations: tuple[CombinationMetrics, ...], default: str) -> tuple[Advice, ...]:
    """Return what to take, line by line; nothing for a network with one exit, or without figures.

    Args:
        combinations: exit policies with decision rules, on test images.
        default: the model's own exit policy.
    """
    if not combinations or len(combinations[0].shares) < 2:
        return ()
    plain = {one.policy: one for one in combinations if one.decide == "argmax"}
    rules = {(one.policy, one.decide.partition(":")[0]): one for one in combinations if one.decide != "argmax"}
    return tuple(_lines(plain, rules, default))


def _lines(
    plain: dict[str, CombinationMetrics], rules: dict[tuple[str, str], CombinationMetrics], default: str
) -> Iterator[Advice]:
    def of(kind: str) -> CombinationMetrics | None:
        return next((one for name, one in plain.items() if name.partition(":")[0] == kind), None)

    full = plain["full"]
    yield Advice(
        "no hurry: every image may take all the work",
        "--policy full",
        f"{percent(full.answers.accuracy.value)} correct",
    )
    if (risk := of("risk")) is not None:
        own = ", the default" if risk.policy == default else ""
        yield Advice(f"a risk that may be run by stopping early{own}", f"--policy {risk.policy}", _cost(risk))
    if (budget := of("budget")) is not None:
        yield Advice("a budget of work, such as half of the last exit's", f"--policy {budget.policy}", _cost(budget))
    if (first := plain.get("exit:1")) is not None:
        yield Advice("very little time, and the same for every image", f"--policy {first.policy}", _cost(first))
    yield Advice(
        "a deadline for each image, such as 25 milliseconds",
        "--policy deadline:25ms",
        "exit 1 always answers; “mango-grader bench” measures first how long each exit takes on your machine",
    )
    if (sets := rules.get(("full", "conformal"))) is not None and sets.review is not None:
        kept = "" if sets.kept_accuracy is None else f"; of the others {percent(sets.kept_accuracy.value)} are correct"
        yield Advice(
            "people who look at doubtful fruit",
            f"--policy full --decide {sets.decide}",
            f"{percent(sets.review.value)} are for review{kept}",
        )
    yield Advice(
        "a price for each wrong answer, and for a person's look",
        "--decide cost:prices.csv",
        "the answer with the lowest expected cost; “mango-grader evaluate” with the same option says what it comes to",
    )


def _cost(one: CombinationMetrics) -> str:
    change = f"{points(one.gain)} to the last exit"
    return (
        f"{percent(one.answers.accuracy.value)} correct, {change}, with {percent(one.work.value)} of its work"
        f" ({amount(one.macs.value)} multiply-adds)"
    )
