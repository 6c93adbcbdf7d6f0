"""Ideas against a peer, paired from what both scripts kept."""

from pathlib import Path
from typing import Any

import pytest
from scripts import run_script

from benchmarks.lib.peers.runs import Pack
from mango_grader.files import write_json
from mango_grader.synthetic import Series, write_synthetic
from mango_grader.workflow.comparison.outcomes import ExitFigures, Outcome, RunFigures
from mango_grader.workflow.config import plain

PEERS = ("--peers", "shufflenet_v2_x0_5", "--epochs", "1", "--size", "32", "--jobs", "1")


def test_ideas_are_paired_with_a_peer_by_picture(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 40, Series(0, size=64))
    place = {"data": str(tmp_path / "mangoes"), "group_by": "fruit_id", "folds": 2, "seed": 0}
    options = [text for name, value in place.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    work = ("--work", str(tmp_path / "work"), "--until", "1")
    peers = run_script("peers", *options, *work, *PEERS, out=tmp_path / "peers.json")
    (answers,) = peers["cells"]["shufflenet_v2_x0_5/fold 1"]["figures"]["right"]

    pack = Pack(tmp_path / "work" / "fold-1")
    ideas = {"as the peer": answers, "all right": "1" * len(answers)}
    cells = {
        f"{name}/1": {"figures": outcome(name, pack.groups(), pack.paths(), right)} for name, right in ideas.items()
    }
    write_json(tmp_path / "gap.json", {"setup": place, "cells": cells})
    files = ("--ideas", str(tmp_path / "gap.json"), "--peers", str(tmp_path / "peers.json"))
    found = run_script("against_peers", *files, "--peer", "shufflenet_v2_x0_5", out=tmp_path / "against.json")
    best, same = found["summary"]
    wrong = answers.count("0") / len(answers)
    assert (best["name"], best["n"], best["value"]) == ("all right", len(answers), pytest.approx(wrong))
    assert (same["name"], same["value"], same["low"], same["high"]) == ("as the peer", 0, 0, 0)
    assert (tmp_path / "against.png").stat().st_size > 5_000

    write_json(tmp_path / "gap.json", {"setup": {**place, "seed": 1}, "cells": cells})
    with pytest.raises(AssertionError, match="differ in seed: nothing to pair"):
        run_script("against_peers", *files, out=tmp_path / "against.json")


def outcome(name: str, groups: list[str], paths: list[str], right: str) -> Any:
    """Return a cell's figures: a run with two exits, of which the first is always wrong."""
    marks: dict[str, dict[str, str]] = {}
    for group, path, letter in zip(groups, paths, right, strict=True):
        marks.setdefault(group, {})[path] = f"0{letter}"
    exits = tuple(ExitFigures(accuracy=0.5, validation=0.5, macs=1, params=1) for _ in "01")
    return plain(Outcome(name, 1, RunFigures(exits, validated=1, seconds=None, correct=marks)))
