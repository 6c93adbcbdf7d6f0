"""The benchmark of a whole line, with a small belt and few frames: that it runs, not how fast."""

from pathlib import Path

from noisy_fruit import calibration_of, draw_fruit, make_noisy_bundle
from scripts import run_script


def test_a_film_goes_through_a_whole_line(tmp_path: Path) -> None:
    model = make_noisy_bundle(tmp_path / "noisy.mango", calibration_of(draw_fruit(60, seed=1)))
    scale = ("--frames", "160", "--seconds", "1", "--width", "320", "--height", "180", "--fps", "20", "--rate", "5")
    found = run_script(
        "line", "--model", str(model), *scale, "--work", str(tmp_path / "work"), out=tmp_path / "line.json"
    )
    assert found["failed"] == {}
    line, finder = (found["measurements"][name]["figures"] for name in ("line", "finder"))
    assert line["decisions"] > 10
    assert 1 <= line["views"] <= 4
    assert 0 < line["latency_ms"]["p50"] <= line["latency_ms"]["p99"]
    assert finder["n"] > 20
    assert {row["what"] for row in found["summary"]} >= {"frames dropped", "finder on one core, frames a second"}
