"""What a run counts: grades add up to the fruit that passed."""

from dataclasses import replace

import pytest
from deciding import decide

from mango_grader.line.tally import Tally


def test_grades_add_up_to_the_fruit_that_passed() -> None:
    """A fruit that the source's end left open had its grade counted, or made the run end as if a grade were missing."""
    tally, passed = Tally(), decide(1)
    for one in (
        passed,
        replace(passed, status="incomplete"),
        replace(passed, status="incomplete", grade=None, error="no view"),
        replace(passed, status="present at start", grade=None, error="no view"),
    ):
        tally.add(one)
    assert (tally.fruit, sum(tally.grades.values()), tally.incomplete, tally.at_start) == (1, 1, 2, 1)
    assert (tally.ungraded, tally.sound) == (0, True)
    tally.add(replace(passed, grade=None, error="no view"))
    assert (tally.fruit, tally.ungraded, tally.sound) == (2, 1, False)


@pytest.mark.parametrize("lost", ["unreadable", "lost"])
def test_frames_that_are_missing_are_no_sound_run(lost: str) -> None:
    assert not replace(Tally(frames=9), **{lost: 1}).sound
