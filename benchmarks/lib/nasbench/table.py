"""NAS-Bench-201's table as something to query: validation accuracies cost, test accuracies are only reported."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import NasBench201Config
from mango_grader.automl.spaces.nasbench201 import cell_choices

CELLS = NasBench201Config(32, 32, 10)
SPACE = SearchSpace(CELLS)
DATA = {"cifar10": "c10", "cifar100": "c100", "imagenet16": "in16"}


class SpentError(Exception):
    """All queries are used up."""


@dataclass(frozen=True)
class Table:
    """Of one data set: accuracy in percent after 12 epochs (to query) and after 200 (to report); MACs in millions."""

    validation: Mapping[Architecture, float]
    test: Mapping[Architecture, float]
    macs: Mapping[Architecture, float]


@cache
def read_table(path: str, data: str) -> Table:
    """Read one data set's columns."""
    with Path(path).open(newline="") as file:
        rows = [(Architecture(CELLS, cell_choices(row["arch"])), row) for row in csv.DictReader(file)]
    short = DATA[data]
    columns = (f"{short}_val12", f"{short}_test200", "flops_m_c10")
    return Table(*({found: float(row[column]) for found, row in rows} for column in columns))


class Queries:
    """Counts what is asked; asking again is free, up to twice as many calls as queries in all."""

    def __init__(self, table: Table, limit: int) -> None:
        self.table, self.limit = table, limit
        self.asked: dict[Architecture, float] = {}
        self._calls = 0

    def __call__(self, architecture: Architecture) -> float:
        """Return the validation accuracy, from 0 to 1; raises SpentError where there are no queries left."""
        self._calls += 1
        new = architecture not in self.asked
        # A sampler that has hardly anything new to propose must end, too.
        if self._calls > 2 * self.limit or (new and len(self.asked) == self.limit):
            raise SpentError
        if new:
            self.asked[architecture] = self.table.validation[architecture]
        return self.asked[architecture] / 100

    def best(self, count: int, among: int | None = None) -> list[Architecture]:
        """Return the `count` best validated of the first `among` that were asked."""
        asked = list(self.asked)[:among]
        return sorted(asked, key=self.asked.__getitem__, reverse=True)[:count]
