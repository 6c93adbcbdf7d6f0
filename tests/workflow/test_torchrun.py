"""A search that torchrun starts on two processes, one of which dies; what cannot be shared; who else may be started."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from ranks import environment, two_ranks
from safetensors.torch import load_file
from tiny import TINY

from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.files import read_json
from mango_grader.progress import SilentProgress
from mango_grader.training.world import World
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.search import search

OPTIONS = ("--method", "enas", "--teacher", "none", "--size", "24", "--device", "cpu", "--progress", "none")
SETTINGS = tuple(part for setting in (*TINY, "checkpoint_every=0") for part in ("--set", setting))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with two_ranks() as found:
        yield found


class UpToWeights(SilentProgress):
    """Interrupts a run once it has its weights: measuring and export take longer, and are rank 0's alone."""

    def note(self, message: str, **figures: Any) -> None:
        if message.startswith("measuring"):
            raise KeyboardInterrupt


def ranks_of(agent: int) -> dict[str, int]:
    """Return the process of each rank that torchrun has started, by its number."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    variables = {int(child): Path(f"/proc/{child}/environ").read_bytes().split(b"\0") for child in children}
    return {
        each.removeprefix(b"RANK=").decode(): child
        for child, listed in variables.items()
        for each in listed
        if each.startswith(b"RANK=")
    }


def test_a_search_of_which_one_process_dies_ends_at_once_and_resumes_to_the_same_result(
    fruit: Path, tmp_path: Path, world: World
) -> None:
    broken, whole, logs = tmp_path / "broken", tmp_path / "whole", tmp_path / "logs"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "mango_grader", "search", "--data", str(fruit), "--out", str(broken), *OPTIONS, *SETTINGS]
    started = subprocess.Popen(
        [sys.executable, *torchrun, "--redirects", "3", "--log-dir", str(logs), *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    with started as agent:
        try:
            while not (broken / "checkpoints" / "search.safetensors").exists():
                assert agent.poll() is None, [path.read_text() for path in logs.rglob("stderr.log")]
                time.sleep(0.01)
            os.kill(ranks_of(agent.pid)["1"], signal.SIGKILL)
            assert agent.wait(60) == 1
        finally:
            agent.kill()
    said = {path.parent.name: path.read_text().splitlines() for path in logs.rglob("stderr.log")}
    (line,) = said["0"]
    assert line.startswith(("Error: another process of this training has ended", "interrupted; continue with: "))
    assert said["1"] == []
    assert not (broken / "network.json").exists()

    shutil.copytree(broken, whole)
    shutil.rmtree(whole / "checkpoints")  # it begins anew, by the same plan, and is not interrupted
    for out in (whole, broken):
        with pytest.raises(KeyboardInterrupt):
            search(out, None, resume=True, world=world, progress=UpToWeights())
    assert read_json(broken / "architecture.json") == read_json(whole / "architecture.json")
    first, second = (load_file(out / "weights.safetensors") for out in (broken, whole))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (broken / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("method", "dso", r"--method dso opens several candidates at once.*without torchrun.*random"),
        ("device", "cuda:1", "--device cuda:1: torchrun gives every process a GPU of its own; use --device cuda"),
    ],
)
def test_what_processes_cannot_share_is_refused(
    option: str, value: str, message: str, fruit: Path, tmp_path: Path, world: World
) -> None:
    config = SearchOptions(data=str(fruit), **{"device": "cpu", option: value}).config()
    with pytest.raises(UsageError, match=message):
        search(tmp_path / "run", config, world=world)


@pytest.mark.parametrize(("rank", "code"), [(0, 2), (1, 0)])
def test_other_commands_are_refused_under_torchrun_in_one_line_in_all(rank: int, code: int) -> None:
    done = CliRunner().invoke(main, ["grade", "--no-such-option"], env=environment(rank, 0))
    assert done.exit_code == code
    expected = "Error: processes can share the training steps of search and train alone; start `mango-grader grade`"
    assert done.output == ("" if rank else f"{expected} without torchrun\n")


def test_one_process_under_torchrun_is_alone() -> None:
    alone = environment(0, 0) | {"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    assert CliRunner().invoke(main, ["methods"], env=alone).exit_code == 0
