import threading
from collections.abc import Iterator

import pytest

from mango_grader.cores import ordered_map, usable_cores


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_results_come_in_the_order_of_the_items(workers: int | None) -> None:
    assert list(ordered_map(lambda number: number * 2, range(50), workers)) == list(range(0, 100, 2))


@pytest.mark.parametrize(("workers", "most"), [(1, 3), (2, 7)])
def test_no_more_items_are_taken_than_may_be_held(workers: int, most: int) -> None:
    taken = []

    def endless() -> Iterator[int]:
        while True:
            taken.append(None)
            yield len(taken)

    results = ordered_map(str, endless(), workers, ahead=2)
    assert not taken, "nothing is taken before the first result is asked for"
    assert [next(results) for _ in range(3)] == ["1", "2", "3"]
    assert len(taken) <= most
    results.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_is_raised_in_its_turn_and_ends_the_threads(workers: int) -> None:
    before = threading.active_count()
    results = ordered_map(lambda number: 1 // (3 - number), range(10), workers)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before


def test_a_process_may_use_at_least_one_core() -> None:
    assert usable_cores() >= 1
