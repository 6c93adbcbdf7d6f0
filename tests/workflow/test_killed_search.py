"""A search that is killed again and again ends as one that was left alone, bit for bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import TINY

from mango_grader.files import read_json

# A kill comes a random moment after the run has got this far; between them they hit every part of it.
MILESTONES = (
    "plan.json", "checkpoints/search.safetensors", "shortlist.json", "network.json", "checkpoints/train.safetensors",
    "checkpoints/refit.safetensors", "metrics.json",
)  # fmt: skip


def command(data: Path, out: Path, *more: str) -> list[str]:
    settings = [part for setting in (*TINY, "checkpoint_every=0") for part in ("--set", setting)]
    options = [
        "--data", str(data), "--method", "enas", "--teacher", "none", "--size", "24", "--seed", "1", "--device", "cpu",
        "--out", str(out), "--retrain-on-all", *more,
    ]  # fmt: skip
    return [sys.executable, "-m", "mango_grader", "search", *options, *settings, "--progress", "none"]


# One thread: the promise holds for the same thread count, and other tests may take cores away meanwhile.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start_and_kill(arguments: list[str], milestone: Path, delay: float) -> None:
    process = subprocess.Popen(arguments, env=ENVIRONMENT)
    while not milestone.exists():
        if process.poll() is not None:
            pytest.fail(f"the run ended with {process.returncode} before {milestone.name}")
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run was over before the kill"


def test_kills_change_nothing(fruit: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(fruit, whole), check=True, env=ENVIRONMENT)
    chance = random.Random()
    for milestone in MILESTONES:
        start_and_kill([*command(fruit, broken), "--resume"], broken / milestone, chance.uniform(0, 0.4))
    subprocess.run([*command(fruit, broken), "--resume"], check=True, env=ENVIRONMENT)
    assert read_json(broken / "architecture.json") == read_json(whole / "architecture.json")
    for kind in ("weights", "validated"):
        first, second = (load_file(out / f"{kind}.safetensors") for out in (whole, broken))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert (broken / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()
    assert not list(broken.rglob("*.part")), "a finished run leaves no halves behind"


def test_a_budgeted_run_that_is_killed_in_its_training_ends_the_same(fruit: Path, tmp_path: Path) -> None:
    """The rounds that a deadline allowed and the epochs of the training are written down before the first epoch."""
    first, second = tmp_path / "first", tmp_path / "second"
    start_and_kill(command(fruit, first, "--budget", "20m"), first / "checkpoints" / "train.safetensors", 0.0)
    plan = read_json(first / "plan.json")
    taken, planned = plan["rounds"]
    assert 1 <= taken <= planned
    assert 0 < plan["spent_s"] < plan["deadline_s"]
    assert plan["settled"]
    shutil.copytree(first, second)
    again = [*command(fruit, second, "--budget", "20m"), "--resume"]
    start_and_kill(again, second / "validated.safetensors", 0.1)
    for out in (first, second):
        subprocess.run([*command(fruit, out, "--budget", "20m"), "--resume"], check=True, env=ENVIRONMENT)
    assert read_json(second / "plan.json") == plan == read_json(first / "plan.json")
    weights = [load_file(out / "weights.safetensors") for out in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
