"""A sweep on a real Ray cluster of two nodes, of which one is lost on the way."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY, write_fruit
from two_nodes import two_nodes

from mango_grader.files import read_json

pytest.importorskip("ray")

SETTINGS = (
    "checkpoint_every=0",
    "train.epochs=30",
    *(
        each
        for each in TINY
        if not each.startswith("train.epochs") and each != "method.steps=4" and "paths" not in each
    ),
)
SWEEP = """
methods = ["random/layerwise", "enas"]
seeds = 1
folds = 3
[options]
size = 24
device = "cpu"
settings = [{settings}]
[data.kent]
path = "kent"
"""


def command(file: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "mango_grader", "sweep", str(file), "--out", str(out), "--progress", "none", *more]


def outcomes(out: Path) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = read_json(out / "kent" / "comparison.json")["runs"]
    for each in runs:
        del each["figures"]["seconds"]
    return runs


def test_a_sweep_that_loses_a_node_ends_as_one_on_this_machine(tmp_path: Path) -> None:
    write_fruit(tmp_path / "kent", seed=1)
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP.format(settings=", ".join(f'"{each}"' for each in SETTINGS)))
    alone = subprocess.run(command(file, tmp_path / "alone"), capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr

    out = tmp_path / "on ray"
    with two_nodes() as (cluster, lost):
        environment = {**os.environ, "RAY_ADDRESS": cluster.address}
        ray = command(file, out, "--on", "ray")
        with subprocess.Popen(ray, env=environment, stderr=subprocess.PIPE, text=True) as process:
            begun = [out / "kent" / name / "seed-0" / "checkpoints" for name in ("random-layerwise", "enas-layerwise")]
            while not all(each.is_dir() and any(each.iterdir()) for each in begun):
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.01)
            cluster.remove_node(lost, allow_graceful=False)
            _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert outcomes(out) == outcomes(tmp_path / "alone")
