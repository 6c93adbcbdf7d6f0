"""Fruit graded by several views: which views, which stages, what is answered, and that it can be repeated."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import make_bundle
from noisy_fruit import calibration_of, draw_fruit, make_noisy_bundle
from small_belt import AXES, CROPS, Look, belt_of, passing, sight

from mango_grader.errors import MangoError, UsageError
from mango_grader.line import Answer, Axes, Belt, Camera, Frame, FruitGrader, GradingConfig, Lane, Work
from mango_grader.line.grading.fusions import fuse
from mango_grader.runtime import Grader, Thresholds

TEMPERATURES = (1.2, 1.1, 1.3)
BELT, LABELS = belt_of(25)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_noisy_bundle(
        tmp_path_factory.mktemp("fruit") / "noisy.mango",
        calibration_of(draw_fruit(400, seed=1)),
        temperatures=TEMPERATURES,
        policies={"threshold": Thresholds("confidence", (0.8, 0.8))},
    )


def make(path: Path, policy: str = "threshold", decide: str = "argmax", **settings: Any) -> FruitGrader:
    return FruitGrader(Grader.load(path, "cpu", policy=policy, decide=decide), AXES, CROPS, GradingConfig(**settings))


def grade(grader: FruitGrader, looks: Iterable[Look] = BELT, allowance_s: float | None = None) -> dict[int, Answer]:
    """Return the answer to each fruit that passes."""
    answers = {}
    for look in looks:
        grader.look(look.frame, look.sightings)
        grader.work(allowance_s)
        for fruit in passing(look):
            answers[fruit] = grader.answer(fruit)
            grader.forget(fruit)
    return answers


def accuracy(answers: dict[int, Answer]) -> float:
    assert len(answers) == len(LABELS)
    classes = ("green", "yellow", "red")
    return float(np.mean([answers[number].grade == classes[label] for number, label in enumerate(LABELS, 1)]))


def test_all_views_of_all_fruit_are_graded_in_full_and_fused(path: Path) -> None:
    grader = make(path, "full", fusion="mean", views=9)
    answers = grade(grader)
    assert accuracy(answers) >= 0.8
    for answer in answers.values():
        assert answer.exits == (3,) * 9
        assert answer.views == 9
        assert answer.error is None
        assert answer.probabilities is not None
        assert sum(answer.probabilities) == pytest.approx(1)
        assert answer.confidence == max(answer.probabilities)
        assert (answer.length_mm, answer.width_mm) == (8.0, 6.0)


def test_the_fused_answer_is_that_of_the_model_to_the_crops(path: Path) -> None:
    grader = make(path, "full", fusion="mean", views=9)
    alone = Grader.load(path, "cpu", policy="full")
    images = draw_fruit(25, 0, per_fruit=9).images[:9]
    views = np.array([record.probabilities for record in alone.grade_many(images)])
    np.testing.assert_allclose(grade(grader)[1].probabilities, fuse(grader.fusion, views, 3), rtol=1e-5)


def test_a_settled_fruit_costs_nothing_more(path: Path) -> None:
    grader = make(path, views=9, least_views=2)
    settled: dict[int, int] = {}
    for look in BELT:
        grader.look(look.frame, look.sightings)
        grader.work()
        for number in {each.fruit for each in look.sightings}:
            answer = grader.answer(number)
            if number in settled:
                assert answer.views == settled[number]
            elif answer.views >= 2 and answer.confidence is not None and answer.confidence >= 0.8:
                settled[number] = answer.views
            state = grader.state()["fruit"][str(number)]
            assert number not in settled or all(view["next"] is None for view in state["views"])
    assert len(settled) > 15


def test_a_fruit_in_doubt_gets_every_view_and_every_stage(path: Path) -> None:
    """An image stops at the last exit however unsure it is; a fruit goes on with its next view."""
    answers = grade(make(path, views=9, least_views=1, fusion="evidence:0.9"))
    doubtful = [answer for answer in answers.values() if answer.confidence is not None and answer.confidence < 0.8]
    assert 0 < len(doubtful) < len(answers)
    assert {answer.exits for answer in doubtful} == {(3,) * 9}


def test_settling_early_saves_stages_and_keeps_the_accuracy(path: Path) -> None:
    full, early = make(path, "full", views=9), make(path, "threshold", views=9, least_views=4)
    in_full, answers = grade(full), grade(early)
    assert accuracy(answers) >= accuracy(in_full) - 0.05
    assert sum(sum(one.exits) for one in answers.values()) < 0.6 * sum(sum(one.exits) for one in in_full.values())


def test_a_policy_that_names_an_exit_takes_every_view_to_it(path: Path) -> None:
    for answer in grade(make(path, "exit:2", views=9, least_views=9)).values():
        assert answer.exits == (2,) * 9


def test_views_are_spread_evenly_along_the_belt(path: Path) -> None:
    grader = make(path, "full", views=3)
    frame = Frame(0, 0.0, np.zeros((60, 240, 3), np.uint8))
    for index, along in enumerate(range(16, 220, 4)):
        grader.look(replace(frame, index=index), [sight(replace(frame, index=index), 1, along)])
    # The lines are at 20 and 200, so that the parts begin at 20, 80 and 140.
    assert [16 + 4 * index for index in grader.evidence(1).frames] == [20, 80, 140]


def test_a_fruit_that_is_cut_by_the_border_is_a_view_only_where_nothing_better_comes(path: Path) -> None:
    frames = [Frame(index, index / 10, np.zeros((60, 240, 3), np.uint8)) for index in range(4)]
    cut, late = make(path, views=3), make(path, views=3)
    for frame, along in zip(frames, (30, 100, 180, 190), strict=True):
        cut.look(frame, [sight(frame, 1, along, complete=False)])
        late.look(frame, [sight(frame, 1, along, complete=along == 190)])
    assert cut.evidence(1).frames == (2,)
    assert cut.answer(1).length_mm is None
    assert late.evidence(1).frames == (3,)
    cut.work()
    assert cut.answer(1).grade is not None


def test_a_fruit_that_is_first_seen_beyond_the_line_gets_one_view_and_no_more(path: Path) -> None:
    grader = make(path, views=3)
    for index, along in enumerate((205, 215)):
        frame = Frame(index, index / 10, np.zeros((60, 240, 3), np.uint8))
        grader.look(frame, [sight(frame, 1, along)])
    assert grader.evidence(1).frames == (0,)
    grader.forget(1)
    grader.look(frame, [sight(frame, 1, 220)])
    assert grader.state()["fruit"] == {}


def test_each_lane_has_its_own_line(path: Path) -> None:
    belt = Belt("right", decision_line=200, lanes=(Lane(0, 30), Lane(30, 60, decision_line=100)))
    grader = FruitGrader(Grader.load(path, "cpu"), Axes(Camera(240, 60), belt), CROPS, GradingConfig(views=4))
    for index, along in enumerate(range(10, 250, 10)):
        frame = Frame(index, 0.0, np.zeros((60, 240, 3), np.uint8))
        grader.look(frame, [sight(frame, 1, along, across=20), sight(frame, 2, along, across=40)])
    assert [10 + 10 * index for index in grader.evidence(1).frames] == [10, 50, 100, 150]
    assert [10 + 10 * index for index in grader.evidence(2).frames] == [10, 30, 50, 80]


def test_neighbours_do_not_change_the_answer_to_a_fruit(path: Path) -> None:
    together = grade(make(path, views=9))
    for number in (1, 7, 25):
        alone = [replace(look, sightings=tuple(s for s in look.sightings if s.fruit == number)) for look in BELT]
        assert grade(make(path, views=9), alone) == {number: together[number]}


def test_work_repeats_bit_for_bit_from_json(path: Path) -> None:
    first, second = make(path, views=9), make(path, views=9)
    for number, look in enumerate(BELT):
        for grader in (first, second):
            grader.look(look.frame, look.sightings)
        work = first.work(0.0 if number % 3 == 0 else None)
        second.repeat(Work.from_list(json.loads(json.dumps(work.to_list()))))
        for fruit in passing(look):
            assert first.answer(fruit) == second.answer(fruit)
            first.forget(fruit)
            second.forget(fruit)


def test_work_of_other_looks_is_refused(path: Path) -> None:
    grader = make(path)
    with pytest.raises(MangoError, match="fruit 3 has no view of frame 9 that waits for stage 1"):
        grader.repeat(Work.from_list([[1, [[3, 9]]]]))


@pytest.mark.parametrize("stop", [7, 20])
def test_a_restored_grader_goes_on_as_if_nothing_had_happened(path: Path, stop: int) -> None:
    settings = {"views": 9, "fusion": "evidence:0.3"}
    whole = make(path, **settings)
    for look in BELT[:stop]:
        whole.look(look.frame, look.sightings)
        whole.work()
    # Half a frame's work is left, so that there are images between two stages.
    whole.look(BELT[stop].frame, BELT[stop].sightings)
    restored = make(path, **settings)
    restored.restore(json.loads(json.dumps(whole.state())))
    assert restored.state() == whole.state()
    waiting = [view for fruit in whole.state()["fruit"].values() for view in fruit["views"] if view["next"] is not None]
    assert len({len(view["answers"]) for view in waiting}) > 1
    assert [whole.work(), *grade(whole, BELT[stop + 1 :]).values()] == [
        restored.work(),
        *grade(restored, BELT[stop + 1 :]).values(),
    ]


def test_without_time_nothing_runs_and_the_answer_says_so(path: Path) -> None:
    answers = grade(make(path), allowance_s=0.0)
    assert {answer.error for answer in answers.values()} == {"there was no time to look at it"}
    assert all(answer.grade is None and set(answer.exits) == {0} for answer in answers.values())


def test_a_fruit_that_nobody_looked_at_has_an_error(path: Path) -> None:
    answer = make(path).answer(99)
    assert answer.error == "no frame shows it between the entry line and the decision line"
    assert answer.exits == ()


def test_with_enough_time_the_answers_are_those_without_a_limit(path: Path) -> None:
    assert grade(make(path, views=9), allowance_s=60.0) == grade(make(path, views=9))


def test_a_stage_that_would_end_too_late_is_not_begun(tmp_path: Path) -> None:
    slow = make_bundle(tmp_path / "slow.mango", products=200)  # the second stage takes some 100 ms
    grader = FruitGrader(Grader.load(slow, "cpu", policy="full", check=False), AXES, CROPS, GradingConfig())
    second = grader.grader.stage_times().expected(1)
    answers = grade(grader, BELT[:30], allowance_s=second / 2e3)
    assert len(answers) > 5
    # On a busy machine there may be no time for the first stage either.
    assert 1 in {reached for answer in answers.values() for reached in answer.exits} <= {0, 1}
    assert all((answer.grade is None) == (set(answer.exits) == {0}) for answer in answers.values())


def test_what_is_due_first_and_least_sure_goes_first(path: Path) -> None:
    grader = make(path)
    frame = Frame(0, 0.0, np.zeros((60, 240, 3), np.uint8))
    grader.look(frame, [sight(frame, 1, 60), sight(frame, 2, 150), sight(frame, 3, 100)])
    assert grader.work().rounds[0].views == ((2, 0), (3, 0), (1, 0))


def test_frames_that_cannot_be_read_are_no_views(path: Path) -> None:
    grader = make(path)
    frame = Frame(0, 0.0, None, error="torn")
    grader.look(frame, [sight(frame, 1, 60)])
    assert grader.evidence(1).frames == ()


def test_the_rule_decides_on_the_fused_probabilities(path: Path) -> None:
    prices = path.parent / "prices.csv"
    prices.write_text("true,green,yellow,red,review\ngreen,0,5,9,1\nyellow,1,0,5,1\nred,9,5,0,1\n")
    answers = grade(make(path, "exit:1", f"cost:{prices}", fusion="mean", views=9))
    asked = [answer for answer in answers.values() if answer.review]
    assert 0 < len(asked) < len(answers)
    for answer in answers.values():
        assert answer.cost is not None
        assert answer.probabilities is not None
        assert answer.review == (answer.cost == pytest.approx(1.0) and _cheapest(answer.probabilities) > 1.0)


@pytest.mark.parametrize(
    ("load", "settings", "said"),
    [
        ({"policy": "deadline:25ms"}, {}, "set grading.deadline_ms instead"),
        ({"decide": "conformal:alpha=0.1"}, {}, "set grading.views = 1"),
        ({}, {"fusion": "median"}, "fusion 'median' is unknown"),
        ({}, {"fusion": "worst"}, "are not grades in order"),
    ],
)
def test_what_makes_no_sense_for_fruit_is_refused_in_one_line(
    path: Path, load: dict[str, str], settings: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        FruitGrader(Grader.load(path, "cpu", **load), AXES, CROPS, GradingConfig(**settings))
    assert "\n" not in str(caught.value)


def test_conformal_sets_are_given_where_a_fruit_has_one_view(path: Path) -> None:
    answers = grade(make(path, "full", "conformal:alpha=0.1", views=1))
    assert all(answer.labels and answer.grade in answer.labels for answer in answers.values())


def test_the_digest_tells_evidence_apart(path: Path) -> None:
    digests = [answer.digest for answer in grade(make(path, views=9)).values()]
    assert len(set(digests)) == len(digests)
    assert digests == [answer.digest for answer in grade(make(path, views=9)).values()]


def _cheapest(probabilities: tuple[float, ...]) -> float:
    prices = np.array([[0, 5, 9], [1, 0, 5], [9, 5, 0]])
    return float((np.array(probabilities) @ prices).min())
