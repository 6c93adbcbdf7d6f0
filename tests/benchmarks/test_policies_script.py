"""Exit policies and decision rules on two folds of a few synthetic mangoes."""

from pathlib import Path

from scripts import SMALL_TEACHER, run_script

from mango_grader.synthetic import Series, write_synthetic

TINY = (
    "train.batch_size=8", "train.epochs=1", "method.epochs=1",
    "method.samples=1", "data.height=32", "data.width=32", "space.height=32", "space.width=32",
    *SMALL_TEACHER,
)  # fmt: skip


def test_every_policy_meets_every_rule_in_every_fold(tmp_path: Path) -> None:
    count = 40
    write_synthetic(tmp_path / "mangoes", count, Series(0, size=64))
    place = ("--data", str(tmp_path / "mangoes"), "--group-by", "fruit_id", "--work", str(tmp_path / "work"))
    settings = [part for setting in TINY for part in ("--set", setting)]
    options = (*place, "--folds", "2", "--max-params", "1000000", "--sound", "A", *settings)
    found = run_script("policies", *options, out=tmp_path / "policies.json")
    assert found["failed"] == {}
    folds = [one["figures"] for one in found["measurements"].values()]
    assert sum(len(found["images"][fold["images"]]) for fold in folds) == count
    assert set(found["images"][0]).isdisjoint(found["images"][1])
    for fold in folds:
        assert "fruit" in fold["policies"]["risk:eps=0.05,delta=0.1"]["refused"]["argmax"]  # ten are too few
        full, first = (fold["policies"][name]["rules"]["argmax"] for name in ("full", "exit:1"))
        assert (full["loss"], full["work"], full["shares"][-1]) == (0, 1, 1)
        assert first["work"] < 1
        assert fold["policies"]["full"]["newly_wrong"] == 0
    rows = {(row["policy"], row["decide"]): row for row in found["summary"]}
    assert rows["full", "argmax"]["folds"] == 2
    assert rows["full", "cost"]["cost_per_1000"]["mean"] is not None
    assert (tmp_path / "policies.png").stat().st_size > 1000
