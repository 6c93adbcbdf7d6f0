import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_grader.synthetic import Kind, Lesion, grade_of, near_limit, severity_of, thumb_area
from mango_grader.synthetic.rule import A_LIMIT, C_LIMIT, ROT_LIMIT, WEIGHTS

lesions = st.lists(
    st.builds(Lesion, kind=st.sampled_from(Kind), area_px=st.just(0), area_thumbs=st.floats(0, 5)), max_size=4
)


def of(kind: Kind, thumbs: float) -> list[Lesion]:
    return [Lesion(kind, 0, thumbs)]


def test_a_thumb_is_a_disc_of_a_fifth_of_the_length() -> None:
    assert thumb_area(100) == pytest.approx(math.pi * 10**2)


def test_a_sound_fruit_is_an_a() -> None:
    assert grade_of([]) == "A"
    assert severity_of([]) == 0


@pytest.mark.parametrize("kind", Kind)
def test_limits_belong_to_the_worse_grade(kind: Kind) -> None:
    exact = A_LIMIT / WEIGHTS[kind]
    assert grade_of(of(kind, exact)) == "B"
    assert grade_of(of(kind, exact * 0.999)) == "A"
    assert grade_of(of(kind, C_LIMIT / WEIGHTS[kind])) == "C"


def test_half_a_thumb_of_rot_is_a_c_though_its_severity_is_not() -> None:
    assert severity_of(of(Kind.STEM_END_ROT, ROT_LIMIT)) < C_LIMIT
    assert grade_of(of(Kind.STEM_END_ROT, ROT_LIMIT)) == "C"
    assert grade_of(of(Kind.STEM_END_ROT, ROT_LIMIT * 0.99)) == "B"


@given(lesions, st.sampled_from(Kind), st.floats(0, 5))
def test_one_more_defect_never_betters_the_grade(found: list[Lesion], kind: Kind, thumbs: float) -> None:
    assert grade_of(found + of(kind, thumbs)) >= grade_of(found)


@given(lesions)
def test_order_does_not_matter(found: list[Lesion]) -> None:
    # Sums in another order differ in the last bit, which only a fruit exactly at a limit could feel.
    if not near_limit(found, 1e-9):
        assert grade_of(found) == grade_of(found[::-1])


@pytest.mark.parametrize(("thumbs", "near"), [(0.19, False), (0.21, True), (0.29, True), (0.31, False), (0.81, True),
                                              (1.19, True), (1.21, False), (0.0, False)])  # fmt: skip
def test_near_means_within_a_fifth_of_a_limit(thumbs: float, near: bool) -> None:
    assert near_limit(of(Kind.ANTHRACNOSE, thumbs)) is near


def test_near_counts_the_limit_of_rot_too() -> None:
    assert near_limit(of(Kind.STEM_END_ROT, 0.52))
    assert not near_limit(of(Kind.ANTHRACNOSE, 0.52))
