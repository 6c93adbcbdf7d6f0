"""What only this machine's executor does: processes that are used again, and tasks in this process."""

import os
from functools import partial

from mango_grader.executors import Crashed, LocalExecutor, Task


def processes(jobs: int, *, fresh: bool, tasks: int = 5) -> list[int]:
    """Return the process number of each task."""
    with LocalExecutor(jobs) as executor:
        for number in range(tasks):
            executor.submit(Task(str(number), os.getpid, fresh=fresh))
        return [pid for _, pid in executor.gather()]


def test_tasks_that_need_no_fresh_process_share_a_few() -> None:
    assert len(set(processes(2, fresh=False))) <= 2
    assert len(set(processes(2, fresh=True))) == 5


def test_one_job_runs_in_this_process() -> None:
    assert set(processes(1, fresh=True)) == {os.getpid()}


def test_a_shared_process_that_dies_is_replaced() -> None:
    with LocalExecutor(2) as executor:
        for number, action in enumerate([os.getpid, partial(os._exit, 3), os.getpid, partial(os._exit, 4), os.getpid]):
            executor.submit(Task(str(number), action, fresh=False))
        results = dict(executor.gather())
    assert [isinstance(results[str(number)], Crashed) for number in range(5)] == [False, True, False, True, False]
