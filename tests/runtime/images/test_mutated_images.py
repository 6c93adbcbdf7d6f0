"""Damaged images of every format: the grade of what is decoded, or one line, soon, and not a byte on the terminal."""

from mutate import MUTATIONS, originals, run


def test_damaged_images_are_graded_by_their_pixels_or_refused_and_never_raise_hang_or_print() -> None:
    outcomes = list(run(160, seed=0))
    assert [one for one in outcomes if one.failure is not None] == []
    assert {one.name for one in outcomes} == set(originals())
    results = [one.result.startswith("graded") for one in outcomes]
    assert 30 < sum(results) < 130, "most damage must get beyond the header, and some must be refused"
    assert max(one.peak for one in outcomes) < 1024, "mebibytes; the limit of the process is four times as high"
    assert len({how for one in outcomes for how in one.how.split("+")}) == len(set(MUTATIONS))


def test_a_case_that_hangs_is_told_and_the_next_one_is_decoded() -> None:
    hung = next(run(2, seed=0, limit=-61.0))
    assert "hung" in (hung.failure or "")
