"""How a search keeps the user's limits: the space that it sees, and the latency of its result."""

from collections.abc import Callable
from pathlib import Path

from mango_grader.automl.architecture import Architecture, space_from_dict
from mango_grader.automl.latency import LatencyTable
from mango_grader.automl.limits import Constraints, InfeasibleError, Latency, fitted
from mango_grader.automl.methods import METHODS
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SpaceConfig
from mango_grader.files import read_json, write_json
from mango_grader.progress import Progress
from mango_grader.workflow.search_config import SearchConfig

_TRIES = 5


def fits_width(search: SearchConfig) -> bool:
    """Return whether the search sees no limit, and its result is widened or narrowed until it satisfies them."""
    return bool(search.limits) and (search.fit_width or METHODS[search.method.name].fits_width)


def narrowed_space(search: SearchConfig, whole: SpaceConfig, latency: Latency, kept: Path) -> SearchSpace:
    """Return what is searched: the whole space, or a narrower version of which enough is feasible.

    Args:
        search: the limits, and whether the space is narrowed for them at all.
        whole: the space before it is narrowed.
        latency: predicted milliseconds of a network.
        kept: the file that the narrowed space is written to, and read from where a run is resumed: on another machine,
            where latencies differ, the same space is searched.
    """
    if not kept.exists():
        narrowed = whole if fits_width(search) else fitted(whole, search.limits, latency)
        write_json(kept, narrowed.to_dict())
    return SearchSpace(space_from_dict(read_json(kept)))


def within_latency(
    find: Callable[[], Architecture], constraints: Constraints, table: LatencyTable, progress: Progress
) -> Architecture:
    """Return what `find` gives, once its measured latency is within the limit, too.

    Where the measured latency exceeds the limit although the predicted one does not, the limit is tightened by the
    ratio of the two, and `find` is called again.

    Args:
        find: returns an architecture that satisfies the constraints as they are.
        constraints: are tightened here.
        table: measures whole networks.
        progress: told of each measurement.

    Raises:
        InfeasibleError: five results in a row exceed the limit.
    """
    limit = constraints.limits.max_latency
    for _ in range(_TRIES):
        found = find()
        if limit is None:
            return found
        spec = SearchSpace(found.space).final.derive(found)
        measured, predicted = float(table.measured([spec])[0][-1]), constraints.latency(spec)
        progress.note(f"latency: {measured:.3g} ms measured, {predicted:.3g} ms predicted")
        if measured <= limit:
            return found
        constraints.tighten(predicted * limit / measured)
    raise InfeasibleError(constraints.space, tried=_TRIES)
