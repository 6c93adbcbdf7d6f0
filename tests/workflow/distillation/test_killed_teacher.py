"""A training whose teacher is made, asked and learned from under kills ends as one that was left alone, bit for bit."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from teachers import publish, read_tensors, started, trained, write_architecture
from tiny import write_fruit

NAME = "shufflenet_v2_x0_5"
# Each is followed by a kill: while the teacher is fine-tuned, while it answers, and while the student learns.
MILESTONES = ("teacher/checkpoint.safetensors", "teacher/answers-train/000000.npy", "checkpoints/train.safetensors")
SETTINGS = (
    "train.epochs=8", "checkpoint_every=0", "teacher.views=8", "teacher.recipe.epochs=4",
    "teacher.recipe.batch_size=8",
)  # fmt: skip


def command(student: Path, fruit: Path, more: Path, out: Path) -> list[str]:
    options = ["--data", str(fruit), "--architecture", str(student), "--out", str(out), "--device", "cpu", "--resume"]
    distilled = [
        "--teacher",
        NAME,
        "--unlabelled",
        str(more),
        *(part for each in ("train.batch_size=8", *SETTINGS) for part in ("--set", each)),
    ]
    return [sys.executable, "-m", "mango_grader", "train", *options, *distilled, "--progress", "none"]


def start_and_kill(arguments: list[str], milestone: Path) -> None:
    process = subprocess.Popen(arguments)
    while not milestone.exists():
        if process.poll() is not None:
            pytest.fail(f"the run ended with {process.returncode} before {milestone.name}")
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run was over before the kill"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The promise holds for the same thread count."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_kills_change_nothing(fruit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student, more = write_architecture(tmp_path / "architecture.json"), write_fruit(tmp_path / "more", 6, seed=8)
    publish(NAME, tmp_path / "torch")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for milestone in MILESTONES:
        start_and_kill(command(student, fruit, more, broken), broken / milestone)
        assert not (broken / "weights.safetensors").exists()
    for out in (whole, broken):
        trained(*started(out, student, fruit, *SETTINGS, teacher=NAME, unlabelled=str(more)))
    for name in ("weights.safetensors", "teacher/weights.safetensors"):
        first, second = read_tensors(whole / name), read_tensors(broken / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    for path in (whole / "teacher" / "answers-train").iterdir():
        assert path.read_bytes() == (broken / "teacher" / "answers-train" / path.name).read_bytes()
    assert (broken / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()
