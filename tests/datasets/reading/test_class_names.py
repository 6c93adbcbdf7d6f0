import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_grader.datasets.reading.labels import name_clashes, order_classes


@pytest.mark.parametrize(
    ("names", "ordered", "ordinal"),
    [
        (["C", "A", "B"], ("A", "B", "C"), True),
        (["b", "a"], ("a", "b"), True),
        (["10", "9", "1"], ("1", "9", "10"), True),
        (["2.5", "-1", "10"], ("-1", "2.5", "10"), True),
        (["A", "C"], ("A", "C"), False),
        (["A"], ("A",), False),
        (["1", "01"], ("01", "1"), False),
        (["ripe", "Green", "rotten"], ("Green", "ripe", "rotten"), False),
        (["grade 10", "grade 9"], ("grade 9", "grade 10"), False),
        (["1", "A"], ("1", "A"), False),
        (["²", "1"], ("1", "²"), False),
    ],
)
def test_letters_and_numbers_are_grades(names: list[str], ordered: tuple[str, ...], ordinal: bool) -> None:
    assert order_classes(names) == (ordered, ordinal)


def test_the_option_decides_over_the_names() -> None:
    assert order_classes(["A", "B"], ordinal=False) == (("A", "B"), False)
    assert order_classes(["grade 10", "grade 9"], ordinal=True) == (("grade 9", "grade 10"), True)


@given(st.lists(st.text(max_size=4), min_size=1))
def test_order_depends_on_the_set_alone_and_keeps_spelling(names: list[str]) -> None:
    ordered, _ = order_classes(names)
    assert set(ordered) == set(names)
    assert len(ordered) == len(set(names))
    assert order_classes(reversed(names))[0] == ordered


def test_spellings_of_one_class_are_reported() -> None:
    (finding,) = name_clashes(["Stem rot", "stem_rot", "Healthy", "Stem rot "])
    assert all(repr(name) in finding for name in ["Stem rot", "stem_rot", "Stem rot "])
    assert "Healthy" not in finding
    assert name_clashes(["A", "B"]) == []


def test_equal_numbers_are_reported() -> None:
    assert name_clashes(["1", "1.0", "2", "3"]) == ["class names are equal as numbers: '1', '1.0'"]
    assert len(name_clashes(["01", "1", "2,0", "2"])) == 2


def test_grades_with_signs_are_not_said_to_differ_only_in_case() -> None:
    assert name_clashes(["A", "A-", "A+", "B", "B-"]) == []
    assert name_clashes(["-1", "1"]) == []
    (finding,) = name_clashes(["Cafe\u0301", "Caf\u00e9"])
    assert "differ only" in finding
