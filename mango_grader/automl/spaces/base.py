"""What a search space is: settings that write the decisions to take and the graph in which they are taken."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from mango_grader.automl.graph import SearchGraph
from mango_grader.ranges import Count, Factor, Pixels, Ranged


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

    Raises:
        ValueError: candidates or groups repeat, or nothing can be chosen.
    """

    name: str
    candidates: tuple[str, ...]
    min_chosen: int = 1
    max_chosen: int = 1
    groups: tuple[tuple[int, ...], ...] = ()
    zero: bool = False

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
    def options(self) -> int:
        """How many legal choices there are."""
        sizes = [len(group) for group in self.groups]
        sizes += [1] * (len(self.candidates) - sum(sizes))
        ways = [1] + [0] * self.max_chosen  # ways[k]: to choose k candidates of different groups
        for size in sizes:
            for chosen in range(self.max_chosen, 0, -1):
                ways[chosen] += size * ways[chosen - 1]
        return sum(ways[self.min_chosen :])

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


@dataclass(frozen=True)
class SpaceConfig(Ranged, ABC):
    """The settings of a search space; with `decisions` and `graph`, the whole space.

    Attributes:
        kind: what `--space` and JSON call the space.
        paper: where it was published.
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
