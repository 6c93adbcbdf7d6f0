"""Fruit-level anytime against every view in full, on a short simulated belt."""

from pathlib import Path

from scripts import SMALL_TEACHER, run_script

TINY = (
    "train.batch_size=8", "train.epochs=1", "method.epochs=1",
    "method.samples=1", "data.height=32", "data.width=32", "space.height=32", "space.width=32",
    *SMALL_TEACHER,
)  # fmt: skip


def test_every_arm_grades_every_fruit_of_a_belt(tmp_path: Path) -> None:
    settings = [part for setting in TINY for part in ("--set", setting)]
    scale = ("--belts", "1", "--fruit", "10", "--train-fruit", "30", "--views", "4", "--max-params", "1000000")
    options = (*scale, "--work", str(tmp_path / "work"), *settings)
    found = run_script("line_anytime", *options, out=tmp_path / "anytime.json")
    assert found["failed"] == {}
    (belt,) = (one["figures"] for one in found["measurements"].values())
    arms = belt["arms"]
    full = arms["full"]
    assert "fruit" in belt["refused"]["risk:eps=0.05,delta=0.1, all views"]  # a few are too few
    assert len(found["images"][belt["images"]]) == 10
    assert full["stages"] == [full["views"]] * len(full["stages"])
    assert 20 < full["views"] <= 40
    for arm in arms.values():
        assert len(arm["correct"]) == 10
        assert arm["macs"] <= full["macs"]
    assert arms["exit:1"]["stages"] == [full["views"], *[0] * (len(full["stages"]) - 1)]
    assert arms["threshold:0.95, 1 view"]["macs"] >= arms["threshold:0.8, 1 view"]["macs"]
    rows = {row["arm"]: row for row in found["summary"]}
    assert (rows["full"]["work"], rows["full"]["difference"]["value"], rows["full"]["time"]["mean"]) == (1, 0, 1)
    assert rows["exit:1"]["work"] < 1
    assert rows["exit:1"]["ms_per_fruit"] > 0
