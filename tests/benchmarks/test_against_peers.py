"""Ideas against a peer, paired from what both scripts kept."""

from pathlib import Path

import pytest
from scripts import run_script

from benchmarks.lib.peers.runs import Pack
from mango_grader.files import write_json
from mango_grader.synthetic import Series, write_synthetic

PEERS = ("--peers", "shufflenet_v2_x0_5", "--epochs", "1", "--size", "32", "--jobs", "1")


def test_ideas_are_paired_with_a_peer_by_image(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "mangoes", 40, Series(0, size=64))
    place = {"data": str(tmp_path / "mangoes"), "group_by": "fruit_id", "folds": 2, "seed": 0}
    options = [text for name, value in place.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    work = ("--work", str(tmp_path / "work"), "--until", "1")
    peers = run_script("peers", *options, *work, *PEERS, out=tmp_path / "peers.json")
    (answers,) = peers["measurements"]["shufflenet_v2_x0_5/fold 1"]["figures"]["correct"]

    pack = Pack(tmp_path / "work" / "fold-1")
    ideas = {"as the peer": answers, "all correct": "1" * len(answers)}
    measurements = {
        f"{name}/1": {"figures": {"images": 0, "correct": ["0" * len(correct), correct]}}
        for name, correct in ideas.items()
    }
    kept = {"images": [dict(zip(pack.paths(), pack.groups(), strict=True))], "measurements": measurements}
    write_json(tmp_path / "gap.json", {"setup": place, **kept})
    files = ("--ideas", str(tmp_path / "gap.json"), "--peers", str(tmp_path / "peers.json"))
    found = run_script("against_peers", *files, "--peer", "shufflenet_v2_x0_5", out=tmp_path / "against.json")
    best, same = found["summary"]
    wrong = answers.count("0") / len(answers)
    assert (best["name"], best["n"], best["value"]) == ("all correct", len(answers), pytest.approx(wrong))
    assert (same["name"], same["value"], same["low"], same["high"]) == ("as the peer", 0, 0, 0)
    assert (tmp_path / "against.png").stat().st_size > 2_000

    write_json(tmp_path / "gap.json", {"setup": {**place, "seed": 1}, **kept})
    with pytest.raises(AssertionError, match="differ in seed: nothing to pair"):
        run_script("against_peers", *files, out=tmp_path / "against.json")
