"""What a search space is: settings that write the decisions to take and the graph in which they are taken."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mango_grader.automl.graph import SearchGraph
from mango_grader.ranges import Count, Factor, Pixels, Ranged

if TYPE_CHECKING:  # to list the spaces costs no numpy
    import numpy as np


@dataclass(frozen=True)
class Decision:
    """A choice of some of several candidates.

    Attributes:
        name: of the decision.
        candidates: names of what can be chosen.
        min_chosen: how many are chosen at least, 0 or more.
        max_chosen: how many are chosen at most, 1 or more.
        groups: exclusive sets of candidate indices: relaxations take one softmax per group, and at most one candidate
            of each is chosen. Without groups, a relaxation takes one softmax over all.
        zero: whether in relaxations each group has one more alternative, nothing (the operation "none" of DARTS), which
            can win weight but is never chosen.
        probability: with which an even draw keeps each candidate of a free subset, strictly between 0 and 1. At a half
            every subset is equally likely.

    Raises:
        ValueError: candidates or groups repeat, or nothing can be chosen.
    """

    name: str
    candidates: tuple[str, ...]
    min_chosen: int = 1
    max_chosen: int = 1
    groups: tuple[tuple[int, ...], ...] = ()
    zero: bool = False
    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.min_chosen <= self.max_chosen <= len(self.candidates) or not self.max_chosen:
            raise ValueError(f"{self.name}: cannot choose {self.min_chosen} to {self.max_chosen} of {self.candidates}")
        if len(set(self.candidates)) != len(self.candidates):
            raise ValueError(f"{self.name}: candidates repeat")
        members = [index for group in self.groups for index in group]
        if len(set(members)) != len(members) or not set(members) <= set(range(len(self.candidates))):
            raise ValueError(f"{self.name}: groups must be disjoint sets of candidate indices")
        if self.groups and len(self.groups) + len(self.candidates) - len(members) < self.min_chosen:
            raise ValueError(f"{self.name}: too few groups to choose {self.min_chosen}")

    @property
    def free(self) -> bool:
        """Whether any number of candidates may be chosen, so that each is a question of its own: keep or drop."""
        return self.min_chosen < self.max_chosen

    @property
    def odds(self) -> float:
        """How much more an even draw of a free subset wants to keep a candidate than to drop it; 1 for all others."""
        return self.probability / (1 - self.probability) if self.free else 1.0

    @cached_property
    def sets(self) -> tuple[tuple[int, ...], ...]:
        """Its candidates' indices in sets of which at most one is chosen: the groups, and each other one alone."""
        return tuple(dict.fromkeys(self.group_of(index) for index in range(len(self.candidates))))

    @property
    def options(self) -> int:
        """How many legal choices there are."""
        return int(_weight(tuple(map(len, self.sets)), self.min_chosen, self.max_chosen, 1))

    def group_of(self, index: int) -> tuple[int, ...]:
        """Return the candidates of which at most one, `index` among them, can be chosen."""
        return next((group for group in self.groups if index in group), (index,))

    def allows(self, chosen: tuple[str, ...]) -> bool:
        """Say whether `chosen` (in candidate order, no repeats) is one of the legal choices."""
        if not set(chosen) <= set(self.candidates):
            return False
        indices = [self.candidates.index(name) for name in chosen]
        sorted_once = indices == sorted(set(indices))
        exclusive = len({self.group_of(index) for index in indices}) == len(indices)
        return sorted_once and exclusive and self.min_chosen <= len(indices) <= self.max_chosen

    def weights(self, chosen: Sequence[int], live: Sequence[bool] | None = None) -> list[float]:
        """Return how much each candidate weighs as the next one, and last, where it is free, the end of the choice.

        A legal choice of k candidates weighs odds^k: all of them the same, unless a free subset has a probability of
        its own. A next candidate weighs as much as all legal choices together that go on with it; 0 if there is none.

        Args:
            chosen: indices that are chosen already, rising, fewer than `max_chosen`.
            live: (candidates,), those that may be chosen; None for all.
        """
        taken = {self._place[index] for index in chosen}
        low, high = self.min_chosen - len(chosen) - 1, self.max_chosen - len(chosen) - 1
        weights = [0.0] * len(self.candidates)
        later: dict[int, int] = {}  # how many candidates behind the present one each set has
        for index in reversed(range(chosen[-1] + 1 if chosen else 0, len(weights))):
            own = self._place[index]
            if own in taken or not (live is None or live[index]):
                continue
            sizes = tuple(sorted(size for place, size in later.items() if place != own))
            weights[index] = self.odds * _weight(sizes, low, high, self.odds)
            later[own] = later.get(own, 0) + 1
        return [*weights, float(low < 0)] if self.free else weights

    def draw(self, rng: "np.random.Generator", live: Sequence[bool] | None = None) -> tuple[str, ...]:
        """Draw a legal choice evenly: each with the same probability, unless `probability` of a free subset is no half.

        A free subset is one of independent draws, each candidate with `probability`, on condition that it is legal.

        Args:
            rng: for the draw.
            live: (candidates,), those that may be chosen; None for all.
        """
        chosen: list[int] = []
        while len(chosen) < self.max_chosen:
            weights = list(accumulate(self.weights(chosen, live)))
            if not weights[-1]:
                raise ValueError(f"{self.name}: what is live leaves no legal choice")
            following = bisect_right(weights, rng.random() * weights[-1], hi=len(weights) - 1)
            if following == len(self.candidates):
                break
            chosen.append(following)
        return tuple(self.candidates[index] for index in chosen)

    @cached_property
    def _place(self) -> tuple[int, ...]:
        """The place in `sets` of each candidate's own."""
        places = {index: place for place, members in enumerate(self.sets) for index in members}
        return tuple(places[index] for index in range(len(self.candidates)))


@lru_cache(maxsize=4096, typed=True)
def _weight(sizes: tuple[int, ...], low: int, high: int, odds: float) -> float:
    """Return what all choices together weigh of `low` to `high` candidates, each of another set, k of them odds^k."""
    ways: list[float] = [1, *[0] * high]  # ways[k]: the weight of all choices of k
    for size in sizes:
        for chosen in range(high, 0, -1):
            ways[chosen] += size * odds * ways[chosen - 1]
    return sum(ways[max(low, 0) :])


@dataclass(frozen=True)
class SpaceConfig(Ranged, ABC):
    """The settings of a search space; with `decisions` and `graph`, the whole space.

    Attributes:
        kind: what `--space` and JSON call the space.
        paper: where it was published.
        pretrained: whether there are ImageNet weights that its blocks can start from.
        height: of the image in pixels.
        width: of the image in pixels.
        classes: how many there are to tell apart.
        multiplier: factor on every number of channels, above 0 (BetaNAS §4, DSO-NAS §4.1).
        final: settings that results are trained with in place of those that are searched, such as a larger depth (DARTS
            §3.2: searched with 8 cells, trained with 20); a multiplier counts on top of the searched one. They must
            leave the decisions as they are.

    Raises:
        RangeError: a value is out of range.
        ValueError: `final` names what is no setting of the space, or what the run decides.
    """

    kind: ClassVar[str]
    paper: ClassVar[str] = ""
    pretrained: ClassVar[bool] = False
    height: Pixels
    width: Pixels
    classes: Count
    multiplier: Factor = 1.0
    final: Mapping[str, Any] = field(default_factory=dict, hash=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {each.name for each in fields(self)} - {"height", "width", "classes", "final"}
        if unknown := sorted(set(self.final) - known):
            names = ", ".join(unknown), ", ".join(sorted(known))
            raise ValueError("final: no setting is called {}; there are {}".format(*names))
        # As read from JSON, where tuples are lists, it is the same.
        listed = {name: tuple(value) if isinstance(value, list) else value for name, value in self.final.items()}
        object.__setattr__(self, "final", listed)

    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """Return what there is to decide, in the order in which controllers decide it."""

    @abstractmethod
    def graph(self) -> SearchGraph:
        """Return the super network: every candidate of every decision in its place."""

    def channels_of(self, channels: float) -> int:
        """Return `channels` times the multiplier, rounded to a multiple of 4, at least 4."""
        return max(4, 4 * round(channels * self.multiplier / 4))

    def narrower(self) -> Self | None:
        """Return the same space with about a twelfth fewer channels; None below a tenth of the original's."""
        return replace(self, multiplier=round(self.multiplier * 0.92, 4)) if self.multiplier > 0.1 else None

    def finished(self) -> Self:
        """Return the space as results are trained in it: with what joins only after the search."""
        if not self.final:
            return self
        multiplier = round(self.multiplier * self.final.get("multiplier", 1.0), 4)
        return replace(self, **{**self.final, "multiplier": multiplier, "final": {}})

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return {"kind": self.kind, **asdict(self)}
