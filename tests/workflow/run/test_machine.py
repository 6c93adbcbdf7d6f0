"""A run under a budget computes with as many threads as are fastest where it runs."""

from collections.abc import Callable, Iterator

import pytest
import torch

from mango_grader.training.device import Device
from mango_grader.workflow.run.machine import choose_threads, restored_threads, use_threads

CPU = Device("cpu")
Steps = Callable[[Callable[[int], float]], Callable[[], None]]


@pytest.fixture(autouse=True)
def eight_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    with restored_threads():
        yield
    assert torch.get_num_threads() == 8
    torch.set_num_threads(before)


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Return what makes steps that last, on the clock of the timing, as long as the number of torch's threads says."""
    now = [0.0]
    monkeypatch.setattr("mango_grader.workflow.run.machine.perf_counter", lambda: now[0])

    def make(seconds: Callable[[int], float]) -> Callable[[], None]:
        def step() -> None:
            now[0] += seconds(torch.get_num_threads())

        return step

    return make


def test_on_a_quiet_machine_all_threads_are_taken(lasting: Steps) -> None:
    assert choose_threads(lasting(lambda count: 0.4 / count), CPU) == torch.get_num_threads() == 8


def test_beside_busy_processes_one_thread_is_taken_where_it_is_faster(lasting: Steps) -> None:
    """Two threads on two cores that four others used trained at less than half the speed of one."""
    assert choose_threads(lasting(lambda count: 0.02 * count), CPU) == torch.get_num_threads() == 1
    assert choose_threads(lasting(lambda count: 0.4 / count), CPU) == torch.get_num_threads() == 8, "others have gone"


def test_a_gain_that_may_be_chance_changes_nothing(lasting: Steps) -> None:
    assert choose_threads(lasting(lambda count: 0.95 if count < 8 else 1.0), CPU) == torch.get_num_threads() == 8


def test_a_plan_without_a_number_changes_nothing() -> None:
    use_threads(3)
    use_threads(None)
    assert torch.get_num_threads() == 3
