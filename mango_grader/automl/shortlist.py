"""The short list of a search: how many networks are really trained, and for how long, before one of them is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mango_grader.ranges import BelowOne, Count, Ranged

_FEWEST = 4  # networks: a shorter list is hardly worth its trainings
_LONGEST = 8  # times `epochs`: beyond, the final training is the better place for the time


class Rung(NamedTuple):
    """One round of successive halving.

    Attributes:
        networks: that are trained in it.
        epochs: for which each is trained, from its first weights.
    """

    networks: int
    epochs: int


@dataclass(frozen=True)
class ShortlistConfig(Ranged):
    """How the final choice is made: by successive halving of a short list (Jamieson & Talwalkar 2016, §3).

    Each network of a rung is trained from the weights that it inherits; the better half goes on to the next rung, in
    which trainings last twice as long.

    Attributes:
        size: networks on the list, 1 or more; 1 takes the method's own result.
        epochs: of each training of the first rung, 1 or more; with a budget as many as fit its share, at most 8 times
            as many.
        share: of the time that a budget leaves for search, short list and training, in [0, 1).

    Raises:
        RangeError: a value is out of range.

    Example:
        >>> ShortlistConfig(size=6, epochs=2).rungs(6)
        (Rung(networks=6, epochs=2), Rung(networks=3, epochs=4))
        >>> ShortlistConfig(size=6).rungs(6, allowed=9)  # there is time for nine epochs in all
        (Rung(networks=5, epochs=1), Rung(networks=2, epochs=2))
    """

    size: Count = 6
    epochs: Count = 2
    share: BelowOne = 0.15

    def ignored(self) -> Mapping[str, str]:
        """Return what is for short trainings where there are none."""
        reason = "the method's own result is taken; set search.shortlist.size above 1"
        return {"epochs": reason, "share": reason} if self.size == 1 else {}

    def rungs(self, networks: int, allowed: float | None = None) -> tuple[Rung, ...]:
        """Return what is trained, and for how long; nothing where there is no time, or no choice.

        Args:
            networks: that there are to choose from; the first of them are trained.
            allowed: for how many epochs there is time in all; None takes `epochs` for the first rung.
        """
        most = min(self.size, networks)
        if allowed is None:
            return _halving(most, self.epochs)
        for count in range(most, min(most, _FEWEST) - 1, -1):
            unit = total_epochs(_halving(count, 1))
            if unit and allowed >= unit:
                return _halving(count, min(int(allowed / unit), _LONGEST * self.epochs))
        return ()


def total_epochs(rungs: tuple[Rung, ...]) -> int:
    """Return how many epochs all trainings of the rungs take together."""
    return sum(rung.networks * rung.epochs for rung in rungs)


def _halving(networks: int, epochs: int) -> tuple[Rung, ...]:
    if networks < 2:
        return ()
    return (Rung(networks, epochs), *_halving(networks // 2, 2 * epochs))
