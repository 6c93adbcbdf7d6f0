"""The benchmark of large data sets, on small ones."""

from pathlib import Path

import pytest
from scripts import run_script

from benchmarks.lib.large_stages import STAGES, write_images


def test_memory_and_seconds_of_a_stage_are_compared_at_two_sizes(tmp_path: Path) -> None:
    stages = ["listing", "packing"]
    options = ("--images", "60", "--images", "90", "--jobs", "1", *(f"--stage={stage}" for stage in stages))
    found = run_script("large_data", *options, out=tmp_path / "large_data.json")
    assert set(found["measurements"]) == {f"{stage}/{count}" for stage in stages for count in (60, 90)}
    for measurement in found["measurements"].values():
        figures = measurement["figures"]
        assert figures["seconds"] > 0
        assert 10 < figures["anonymous_mb"] < figures["resident_mb"] < 500
    assert [row["stage"] for row in found["summary"]] == stages
    for row in found["summary"]:
        few, many = (found["measurements"][f"{row['stage']}/{count}"]["figures"]["seconds"] for count in (60, 90))
        assert row["seconds_per_100k"] == pytest.approx((many - few) / 30 * 100_000, rel=1e-4, abs=1e-3)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, 60)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_can_be_done_again(stage: str, images: Path) -> None:
    action = STAGES[stage](images)
    for _ in range(2):
        action()
