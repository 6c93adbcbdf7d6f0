"""Damaged bundles of every level, read as a user would: tests/mutate_bundles.py does more of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from bundle_mutations import LEVELS
from bundles import change_bundle, make_whole_bundle
from mutate_bundles import Mutant, Verdict, examine, mutants

from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.golden import golden_parts


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_whole_bundle(tmp_path_factory.mktemp("sound") / "whole.mango")


def verdict_of(sound: Path, path: Path, *, invalid: bool = False, limit: float = 60.0) -> Verdict:
    [(_, verdict)] = list(examine(sound, [Mutant("made by hand", path, invalid)], limit))
    return verdict


@pytest.mark.parametrize("level", LEVELS)
def test_a_damaged_bundle_is_one_line_and_never_another_answer(level: str, sound: Path, tmp_path: Path) -> None:
    found = list(examine(sound, list(mutants(sound, tmp_path, 10, 7, [level]))))
    assert len(found) == 10
    assert [(mutant.name, verdict.why) for mutant, verdict in found if verdict.kind == "fault"] == []
    assert max(verdict.peak for _, verdict in found) < 1024, "mebibytes; the limit of the process is six times as high"


def test_the_same_seed_gives_the_same_mutants(sound: Path, tmp_path: Path) -> None:
    first, second = ([one.path.read_bytes() for one in mutants(sound, tmp_path, 12, 3)] for _ in range(2))
    assert first == second


def test_a_sound_bundle_answers_and_a_fault_is_seen(sound: Path) -> None:
    """The mutator itself can fail a test."""
    assert verdict_of(sound, sound).kind == "answered"
    invalid = verdict_of(sound, sound, invalid=True)
    assert (invalid.kind, invalid.why) == ("fault", "an answer from a manifest that is not valid")
    hung = verdict_of(sound, sound, limit=-61.0)
    assert hung.kind == "fault"
    assert "hung" in hung.why


def test_other_answers_than_those_of_the_sound_bundle_are_seen(sound: Path, tmp_path: Path) -> None:
    """A bundle whose graphs and golden answers were changed alike passes its own check."""
    golden = Bundle.open(sound).golden()
    other = golden_parts(replace(golden, images=golden.images[::-1]))
    path = tmp_path / "other.mango"
    path.write_bytes(sound.read_bytes())
    assert verdict_of(sound, change_bundle(path, lambda parts: parts.update(other))).kind == "unchecked"
    assert "otherwise" in verdict_of(path, sound).why
