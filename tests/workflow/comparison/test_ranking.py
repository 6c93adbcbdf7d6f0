"""What a comparison concludes from outcomes whose answer is known."""

from dataclasses import replace

import pytest

from mango_grader.automl.movement import Movement
from mango_grader.report.comparison import ComparisonData, comparison_warnings
from mango_grader.settings import checked, plain
from mango_grader.training.ranking import RankedEntry
from mango_grader.workflow.comparison.outcomes import ExitFigures, Outcome, RunFigures, Seconds
from mango_grader.workflow.comparison.ranking import difference_between, random_rival, rank


def outcome(
    entry: str, repeat: int, *exits: str, macs: tuple[int, ...] = (100, 200), validation: float | None = None
) -> Outcome:
    """Return a run whose exits answered one image after the other correctly ("1") or not, two of each group.

    validation: accuracy of all exits there; as on test unless given.
    """
    tested = [marks.count("1") / len(marks) for marks in exits]
    figures = tuple(
        ExitFigures(share, share if validation is None else validation, cost, 10 * cost)
        for share, cost in zip(tested, macs, strict=True)
    )
    correct: dict[str, dict[str, str]] = {}
    for place, letters in enumerate(zip(*exits, strict=True)):
        correct.setdefault(f"fruit{repeat}.{place // 2}", {})[f"{repeat}/{place}.jpg"] = "".join(letters)
    return Outcome(entry, repeat, RunFigures(figures, 4, Seconds(1.0, 2.0, 4.0), correct))


GOOD, FAIR = "11111111", "11110000"
OUTCOMES = [
    outcome("random/dag", 1, FAIR, FAIR),
    outcome("dso/dag", 1, FAIR, GOOD),
    outcome("random/dag", 2, FAIR, FAIR),
    outcome("dso/dag", 2, FAIR, GOOD),
]


def test_the_best_comes_first_and_differences_are_paired() -> None:
    first, second = rank(OUTCOMES)
    assert (first.name, second.name) == ("dso/dag", "random/dag")
    assert first.to_best is None
    assert second.to_random is None
    assert second.to_best is not None
    assert first.to_random is not None
    assert second.to_best.difference.value == -0.5 == -first.to_random.difference.value
    assert first.to_random.difference.p is not None
    assert first.to_random.difference.p < 0.05, "half of sixteen images, all one way"
    assert (first.images, first.groups) == (16, 8)


def test_searches_that_did_not_move_are_counted_and_warned_of() -> None:
    still = [
        replace(each, figures=each.figures and replace(each.figures, movement=Movement(decided=0.0, chance=0.01)))
        for each in OUTCOMES[1:2]
    ]
    ranking = rank([*OUTCOMES[:1], *still, *OUTCOMES[2:]])
    assert {each.name: each.unmoved for each in ranking} == {"dso/dag": 1, "random/dag": 0}
    (line,) = (line for line in comparison_warnings(_page(ranking)) if "move" in line)
    assert line == "dso/dag: 1 of 2 searches did not move: what it found is no more than chance gives."
    assert checked(tuple[Outcome, ...], [plain(each) for each in still]) == tuple(still)


def _page(ranking: tuple[RankedEntry, ...]) -> ComparisonData:
    return ComparisonData(title="fruit", ranking=ranking, asked=2, budget=60.0)


def test_only_what_both_were_tested_on_is_compared() -> None:
    found = {each.name: each for each in rank([*OUTCOMES, outcome("enas/dag", 2, GOOD, FAIR)])}
    gap = found["enas/dag"].to_random
    assert gap is not None
    assert gap.difference.value == 0, "they agree where both are, whatever the other repeats say"
    assert gap.images == 8


def test_any_two_entries_can_be_held_against_each_other() -> None:
    gap = difference_between("random/dag", "dso/dag", OUTCOMES)
    assert gap is not None
    assert (gap.name, gap.difference.value, gap.images) == ("dso/dag", -0.5, 16)
    assert difference_between("random/dag", "nobody", OUTCOMES) is None
    elsewhere = outcome("enas/dag", 3, GOOD, GOOD)
    assert difference_between("enas/dag", "dso/dag", [*OUTCOMES, elsewhere]) is None, "no common repeat"


def test_validation_ranks_whatever_test_says() -> None:
    modest = [outcome("modest/dag", repeat, FAIR, FAIR, validation=0.9) for repeat in (1, 2)]
    first, second, third = rank([*OUTCOMES[1::2], *OUTCOMES[::2], *modest])
    assert (first.name, second.name, third.name) == ("dso/dag", "modest/dag", "random/dag")
    boasting = [outcome("boasting/dag", repeat, GOOD, GOOD, validation=0.1) for repeat in (1, 2)]
    first, *_, last = rank([*boasting, *modest])
    assert (first.name, last.name) == ("modest/dag", "boasting/dag")
    assert last.to_best is not None
    assert last.to_best.difference.value == 0.5, "on test images"
    assert first.exits[-1].validation.mean == 0.9
    assert first.validated == 8


def test_of_one_lucky_run_nobody_is_the_best() -> None:
    found = rank([*OUTCOMES[:3], outcome("lucky/dag", 1, GOOD, GOOD)])
    best = {each.to_best.name for each in found if each.to_best is not None}
    assert best == {"random/dag"}


def test_areas_share_one_horizon() -> None:
    cheap = outcome("cheap", 1, GOOD, GOOD, macs=(50, 100))
    dear = outcome("dear", 1, GOOD, GOOD, macs=(100, 400))
    area = {each.name: each.area.mean for each in rank([cheap, dear])}
    assert area == {"cheap": pytest.approx(350 / 400), "dear": pytest.approx(300 / 400)}


def test_failures_and_interruptions_leave_no_figures() -> None:
    assert rank([Outcome("enas/dag", 1, None, "no")]) == ()
    done = outcome("enas/dag", 1, GOOD, GOOD)
    assert done.figures is not None
    (alone,) = rank([Outcome("enas/dag", 1, RunFigures(done.figures.exits, 4, None, done.figures.correct))])
    assert alone.whole_s is None
    assert alone.exits[-1].accuracy.sd is None


def test_random_search_on_the_same_space_is_the_baseline() -> None:
    names = ["random/layerwise", "random/dag", "dso/dag"]
    assert random_rival("dso/dag", names) == "random/dag"
    assert random_rival("betanas/mbconv", names) == "random/layerwise"
    assert random_rival("resnet18", names) == "random/layerwise"
    assert random_rival("random/dag", names) is None
    assert random_rival("dso/dag", ["dso/dag"]) is None


def test_files_of_earlier_versions_are_read_and_their_names_kept() -> None:
    kept = plain(OUTCOMES[0])
    assert kept["figures"]["right"] == OUTCOMES[0].figures.correct  # type: ignore[union-attr]
    assert checked(Outcome, kept) == OUTCOMES[0]
    first, _ = (plain(each) for each in rank(OUTCOMES))
    assert (first["pictures"], first["to_random"]["pictures"]) == (16, 16)
