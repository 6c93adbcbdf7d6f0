"""The comparison of all methods, at its smallest."""

from pathlib import Path

import pytest
from scripts import measurements_done, run_script

from benchmarks.lib.measurements import RESULTS
from benchmarks.suite.methods_on_mangoes import setup_of
from mango_grader.files import read_json
from mango_grader.settings import checked
from mango_grader.synthetic import Series, write_synthetic
from mango_grader.workflow.comparison import Comparison

TINY = (
    "space.depth=3", "space.channels=8", "space.stem_channels=8", "space.reduce_at=2,3", "space.exits=1,3",
    "space.kernels=3,5", "method.epochs=1", "method.samples=2", "train.epochs=1", "search.shortlist.epochs=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def mangoes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mangoes")
    write_synthetic(folder, 60, Series(0, size=64))
    return folder


def test_a_smoke_run_measures_pairs_against_random_and_resumes(mangoes: Path, tmp_path: Path) -> None:
    out = tmp_path / "methods_on_mangoes.json"
    options = [
        *(
            "--data",
            str(mangoes),
            "--group-by",
            "fruit_id",
            "--pairs",
            "enas/layerwise,random/layerwise",
            "--seeds",
            "1",
        ),
        *("--folds", "3", "--size", "32", "--max-params", "20000", "--device", "cpu", "--work", str(tmp_path / "work")),
        *("--jobs", "1"),
        *(part for setting in TINY for part in ("--set", setting)),
    ]
    found = run_script("methods_on_mangoes", *options, out=out)
    assert not found["failed"]
    standings = {each["name"]: each for each in found["summary"]}
    assert set(standings) == {"enas/layerwise", "random/layerwise"}
    for each in standings.values():
        assert each["exits"][-1]["params"]["mean"] <= 20_000
        assert 15 <= each["images"] <= 25, "about a third of sixty"
    assert standings["enas/layerwise"]["to_random"]["name"] == "random/layerwise"
    assert standings["random/layerwise"]["to_random"] is None
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    again = run_script("methods_on_mangoes", *options, "--resume", out=out)
    assert measurements_done(again) == measurements_done(found)


def test_the_committed_measurements_can_be_resumed() -> None:
    """A setting was renamed, and the script refused its own results as measured with another setup."""
    kept = read_json(RESULTS / "methods_on_mangoes.json")["setup"]
    assert setup_of(checked(Comparison, kept)) == kept
