"""Damaged bundles of every level, read as a user would: tests/mutate_bundles.py does more of them."""

from pathlib import Path

import pytest
from bundle_mutations import LEVELS
from mutate_bundles import examine, mutants


@pytest.mark.parametrize("level", LEVELS)
def test_a_damaged_bundle_is_one_line_and_never_an_answer_from_an_invalid_manifest(
    level: str, bundle: Path, tmp_path: Path
) -> None:
    found = list(examine(list(mutants(bundle, tmp_path, 10, 7, [level]))))
    assert len(found) == 10
    assert [(mutant.name, why) for mutant, verdict, why in found if verdict == "fault"] == []


def test_the_same_seed_gives_the_same_mutants(bundle: Path, tmp_path: Path) -> None:
    first, second = ([one.path.read_bytes() for one in mutants(bundle, tmp_path, 12, 3)] for _ in range(2))
    assert first == second


def test_a_sound_bundle_answers_and_a_fault_is_seen(bundle: Path) -> None:
    """The mutator itself can fail a test."""
    from mutate_bundles import Mutant

    [(_, sound, _)], [(_, invalid, why)] = (
        list(examine([Mutant("none", bundle, invalid)])) for invalid in (False, True)
    )
    assert (sound, invalid) == ("answered", "fault")
    assert why == "an answer from a manifest that is not valid"
