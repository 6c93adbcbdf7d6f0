"""Memory that is kept between steps, in processes of their own: what it changes holds until a process ends."""

import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import torch
from mango_grader.training.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    raise SystemExit(3)
def step():
    torch.ones(10_000_000) + torch.ones(10_000_000)  # more than 32 MiB each, which glibc never keeps by itself
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for glibc")
def test_steps_use_the_memory_of_earlier_ones_again() -> None:
    assert page_faults("given back") > 20 * page_faults("kept")


def page_faults(what: str) -> int:
    """Return how many pages the system had to bring for five steps with 120 MB of tensors each."""
    done = subprocess.run([sys.executable, "-c", COUNT, what], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("not glibc")
    assert done.returncode == 0, done.stderr
    return max(1, int(done.stdout))
