"""What every fusion keeps. A new fusion joins with one line of `CASES`."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.line.grading.fusions import FUSIONS, Fusion, FusionContext, fuse, parse_fusion

# What is typed, and what is printed.
CASES: Mapping[str, str] = {
    "evidence": "evidence:0.9,0.5",
    "evidence:0": "evidence:0,0",
    "evidence:1.0,.25": "evidence:1,0.25",
    "mean": "mean",
    "vote": "vote",
    "worst": "worst:0.5,last",
    "worst:first": "worst:0.5,first",
    "worst:0.75,first": "worst:0.75,first",
}
CONTEXT = FusionContext(classes=("A", "B", "C", "D"), ordinal=True, exits=2, prior=(0.4, 0.3, 0.2, 0.1))


def views_of_fruit(count: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Return the probabilities of 1 to 8 views of each fruit, sure ones and unsure ones."""
    rng = np.random.default_rng(seed)
    return [rng.dirichlet([rng.choice([0.05, 1.0])] * 4, size=rng.integers(1, 9)).astype("f4") for _ in range(count)]


@pytest.fixture(params=CASES)
def fusion(request: pytest.FixtureRequest) -> Fusion:
    return parse_fusion(request.param, CONTEXT)


def test_every_fusion_is_here() -> None:
    assert {text.partition(":")[0] for text in CASES} == FUSIONS.keys()


@pytest.mark.parametrize(("text", "printed"), CASES.items())
def test_what_is_printed_is_read_as_the_same_fusion(text: str, printed: str) -> None:
    fusion = parse_fusion(text, CONTEXT)
    assert isinstance(fusion, Fusion)
    assert str(fusion) == printed
    assert parse_fusion(printed, CONTEXT) == fusion


@pytest.mark.parametrize("name", FUSIONS)
def test_nonsense_is_refused_in_one_line(name: str) -> None:
    for argument in ("x", "-1", "1.5", "nan", "0.5,0.5,0.5", "0.5,", "²", "9" * 400 + "x", "\n1", ""):
        with pytest.raises(UsageError, match=r"^fusion .+") as caught:
            parse_fusion(f"{name}:{argument}", CONTEXT)
        assert "\n" not in str(caught.value)


def test_an_unknown_fusion_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="fusion 'median' is unknown; use evidence"):
        parse_fusion("median", CONTEXT)


def test_the_worst_grade_needs_grades_in_order() -> None:
    with pytest.raises(UsageError, match="are not grades in order"):
        parse_fusion("worst", FusionContext(classes=("A", "B"), ordinal=False, exits=2, prior=(0.5, 0.5)))


def test_probabilities_sum_to_one(fusion: Fusion) -> None:
    for views in views_of_fruit(200):
        fused = fuse(fusion, views, 1)
        assert fused.shape == (4,)
        assert (fused >= 0).all()
        assert fused.sum() == pytest.approx(1, abs=1e-6)


def test_the_order_of_the_views_does_not_matter_to_the_last_bit(fusion: Fusion) -> None:
    rng = np.random.default_rng(1)
    for views in views_of_fruit(200):
        np.testing.assert_array_equal(fuse(fusion, views, 1), fuse(fusion, rng.permutation(views), 1))


def test_the_answer_to_a_single_view_is_the_answer(fusion: Fusion) -> None:
    for views in views_of_fruit(50):
        np.testing.assert_array_equal(fuse(fusion, views[:1], 1), views[0].astype(np.float64))


def test_views_without_an_answer_are_ignored(fusion: Fusion) -> None:
    for views in views_of_fruit(50):
        with_gaps = np.insert(views, len(views) // 2, np.nan, axis=0)
        np.testing.assert_array_equal(fuse(fusion, with_gaps, 1), fuse(fusion, views, 1))


def test_without_any_answer_there_is_none(fusion: Fusion) -> None:
    assert np.isnan(fuse(fusion, np.full((3, 4), np.nan, np.float32), 1)).all()
    assert np.isnan(fuse(fusion, np.empty((0, 4), np.float32), 1)).all()


def test_a_view_that_is_certain_gives_finite_answers(fusion: Fusion) -> None:
    fused = fuse(fusion, np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]], np.float32), 1)
    assert np.isfinite(fused).all()


def test_views_that_all_agree_keep_their_grade(fusion: Fusion) -> None:
    for views in views_of_fruit(100):
        agreeing = np.take_along_axis(views, np.argsort(views, axis=1), axis=1)  # the last class is the largest
        assert fuse(fusion, agreeing, 1).argmax() == 3


@pytest.mark.parametrize("correlation", ["0", "0.3", "1.0"])
def test_evidence_grows_no_less_sure_with_views_that_say_the_same(correlation: str) -> None:
    # A uniform prior, so that what a view favours is what it says is most probable.
    fusion = parse_fusion(
        f"evidence:{correlation}", FusionContext(classes=tuple("ABC"), ordinal=True, exits=2, prior=(1 / 3,) * 3)
    )
    for first in np.random.default_rng(2).dirichlet([1.0, 1.0, 1.0], 50):
        sure = [fuse(fusion, np.stack([first] * count), 1).max() for count in range(1, 9)]
        assert (np.diff(sure) >= -1e-12).all()
        assert correlation == "1.0" or first.max() < 0.4 or sure[-1] > sure[0]


def test_evidence_grows_surer_with_a_view_that_is_sure_enough() -> None:
    """A view whose log-odds are at least the correlation times those of the answer so far."""
    fusion = parse_fusion("evidence:0.3", FusionContext(classes=("A", "B"), ordinal=True, exits=2, prior=(0.5, 0.5)))
    odds = np.random.default_rng(3).uniform(0.1, 4, (200, 4))
    for each in odds:
        so_far = fuse(fusion, two_classes(each[:3]), 1)
        so_far_odds = np.log(so_far[0] / so_far[1])
        for factor, surer in ((0.31, True), (0.29, False)):
            more = fuse(fusion, two_classes([*each[:3], factor * so_far_odds]), 1)
            assert (more[0] > so_far[0]) == surer


def test_views_of_an_early_exit_repeat_each_other_more() -> None:
    fusion, views = parse_fusion("evidence", CONTEXT), np.array([[0.7, 0.1, 0.1, 0.1]] * 3)
    first, last = (fuse(fusion, views, number) for number in (1, 2))
    assert views[0].max() < first.max() < last.max()
    np.testing.assert_array_equal(first, fuse(parse_fusion("evidence:0.9", CONTEXT), views, 2))


def test_independent_evidence_is_that_of_bayes() -> None:
    prior, views = np.array(CONTEXT.prior), views_of_fruit(1, seed=5)[0].astype(np.float64)
    views = np.maximum(views, 1e-5) / np.maximum(views, 1e-5).sum(axis=1, keepdims=True)
    expected = prior * np.prod(views / prior, axis=0)
    fused = fuse(parse_fusion("evidence:0", CONTEXT), views, 1)
    np.testing.assert_allclose(fused, expected / expected.sum(), rtol=1e-9)


def test_the_worst_of_the_sure_views_wins() -> None:
    views = np.array([[0.9, 0.1, 0, 0], [0.2, 0.7, 0.1, 0], [0.3, 0.2, 0.1, 0.4]], np.float32)
    assert fuse(parse_fusion("worst", CONTEXT), views, 1).argmax() == 1  # the third is not sure
    assert fuse(parse_fusion("worst:0.4", CONTEXT), views, 1).argmax() == 3
    assert fuse(parse_fusion("worst:0.95", CONTEXT), views, 1).argmax() == 3  # none is sure, so all count
    assert fuse(parse_fusion("worst:first", CONTEXT), views, 1).argmax() == 0


def test_most_views_win_and_the_mean_breaks_ties() -> None:
    views = np.array([[0.6, 0.4, 0, 0], [0.55, 0.45, 0, 0], [0, 0.99, 0, 0.01]], np.float32)
    assert fuse(parse_fusion("vote", CONTEXT), views, 1).argmax() == 0
    assert fuse(parse_fusion("vote", CONTEXT), views[1:], 1).argmax() == 1
    assert fuse(parse_fusion("mean", CONTEXT), views, 1).argmax() == 1


def two_classes(odds: object) -> NDArray[np.float64]:
    """Return the probabilities (V, 2) of log-odds (V,)."""
    first = 1 / (1 + np.exp(-np.asarray(odds, np.float64)))
    return np.stack([first, 1 - first], axis=1)
