"""How a search keeps its limits: what it may propose, and what becomes of the result."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from mango_grader.automl.architecture import Architecture, SpaceConfig
from mango_grader.automl.cost import CostModel, macs
from mango_grader.automl.latency import LatencyTable, latency
from mango_grader.automl.limits import fitted, widest
from mango_grader.automl.methods import METHODS
from mango_grader.automl.samplers import InfeasibleError
from mango_grader.automl.spaces import SearchSpace
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec
from mango_grader.progress import Progress
from mango_grader.workflow.config import SearchConfig

_TRIES = 5


class Admission:
    """Whether an architecture may be a search's result.

    Either the space is narrowed first, and what breaks a limit is refused throughout; or, where the method or the user
    wants it so, the search sees no limit and its result is brought within by its width. Latency is predicted while
    searching and measured on the result. config: the whole space. kept: where the narrowed one is written.
    """

    def __init__(self, search: SearchConfig, config: SpaceConfig, kept: Path, progress: Progress) -> None:
        self._search, self._config, self._kept, self._progress = search, config, kept, progress
        self._limits = search.limits
        self._table = LatencyTable(progress=progress)
        self._fits_width = bool(search.limits) and (search.fit_width or METHODS[search.method.name].fits_width)

    @cached_property
    def space(self) -> SearchSpace:
        """What is searched; kept in a file, so that a resumed run searches the same wherever it is."""
        if not self._kept.exists():
            narrowed = self._config if self._fits_width else fitted(self._config, self._limits, self._predicted)
            write_json(self._kept, narrowed.to_dict())
        return SearchSpace(SpaceConfig.from_dict(read_json(self._kept)))

    def __call__(self, architecture: Architecture) -> bool:
        """Say whether the architecture may be proposed as things stand."""
        return self._fits_width or self._limits.feasible(self.space, architecture, self._predicted)

    def cost(self) -> CostModel:
        """Return what the search counts as cost."""
        return macs(self.space) if self._search.cost == "macs" else latency(self.space, self._table)

    def within(self, finish: Callable[[], Architecture]) -> Architecture:
        """Return what `finish` gives, at its fitted width if so wanted, once it really obeys every limit.

        Where the measured latency is beyond the limit although the predicted one is not, `finish` is asked again under
        a limit that is tighter by the ratio of the two. Raises InfeasibleError after 5 tries.
        """
        most = self._search.limits.max_latency
        for _ in range(_TRIES):
            found = widest(finish(), self._limits, self._predicted) if self._fits_width else finish()
            if most is None:
                return found
            spec = SearchSpace(found.space).final.derive(found)
            measured, predicted = self.measured(spec), self._predicted(spec)
            self._progress.note(f"latency: {measured:.3g} ms measured, {predicted:.3g} ms predicted")
            if measured <= most:
                return found
            self._limits = replace(self._limits, max_latency=predicted * most / measured)
        raise InfeasibleError(self.space, tried=_TRIES)

    def measured(self, spec: NetworkSpec) -> float:
        """Return the network's measured milliseconds up to its last exit."""
        return float(self._table.measured([spec])[0][-1])

    def _predicted(self, spec: NetworkSpec) -> float:
        return float(self._measured_table.predict(spec)[-1])

    @cached_property
    def _measured_table(self) -> LatencyTable:
        """The table with all operations of the whole space, and its factor."""
        latency(SearchSpace(self._config).final, self._table)
        return self._table
