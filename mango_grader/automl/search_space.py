"""SearchSpace: sampling, rounding, deriving networks and encoding, the same for every space."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.graph import SearchGraph
from mango_grader.automl.spaces import Decision, SpaceConfig
from mango_grader.automl.supernet import Supernet
from mango_grader.models.spec import NetworkSpec

Tokens = tuple[int, ...]


class SearchSpace:
    """All architectures that a space's settings describe.

    Encoding: each decision takes `max_chosen` slots; a slot holds a candidate's index, in rising order, or the number
    of candidates ("stop") once enough are chosen. A decision for exactly one candidate is thus a single token.

    Args:
        config: the space's settings.

    Attributes:
        config: the space's settings.
        decisions: what there is to decide.
        graph: the network in which it is decided.
        slots: the decision of each token of an encoded architecture.
    """

    def __init__(self, config: SpaceConfig) -> None:
        self.config = config
        self.decisions: tuple[Decision, ...] = config.decisions()
        self.graph: SearchGraph = config.graph()
        self.slots: tuple[Decision, ...] = tuple(d for d in self.decisions for _ in range(d.max_chosen))
        starts = np.cumsum([0, *(d.max_chosen for d in self.decisions)])
        self._starts: list[int] = [
            int(starts[place]) for place, d in enumerate(self.decisions) for _ in range(d.max_chosen)
        ]
        self._chances: dict[
            tuple[int, Tokens], NDArray[np.float64]
        ] = {}  # samplers ask for the same few again and again

    def supernet(self) -> Supernet:
        """Return freshly initialised shared weights."""
        return Supernet(self.graph, self.decisions)

    @cached_property
    def final(self) -> "SearchSpace":
        """The space in which results are trained: this one, with what joins only after the search.

        Raises:
            ValueError: its settings make no network, or leave other things to decide.
        """
        finished = self.config.finished()
        if finished == self.config:
            return self
        final = SearchSpace(finished)
        if final.decisions != self.decisions:
            raise ValueError("final changes what there is to decide, so that no result would fit it")
        return final

    def derive(self, architecture: Architecture) -> NetworkSpec:
        """Return the plain network, every width, stride, input and exit explicit."""
        return self.graph.derive(architecture.choices)

    def sample(self, rng: np.random.Generator, live: Mapping[str, Sequence[bool]] | None = None) -> Architecture:
        """Draw an architecture evenly, each decision by itself, as `Decision.draw` does.

        Args:
            rng: for the draw.
            live: by decision, (candidates,), those that may be chosen; None for all.
        """
        choices = {each.name: each.draw(rng, live[each.name] if live else None) for each in self.decisions}
        return Architecture(self.config, choices)

    def nearest(self, scores: Mapping[str, NDArray[np.floating]]) -> Architecture:
        """Return the architecture of the highest scores, (candidates,) per decision; rounding rules live only here.

        A decision takes its `min_chosen` best candidates, at most one per group, and more while their score is > 0.
        """
        choices = {}
        for decision in self.decisions:
            taken: list[int] = []
            for index in np.argsort(-scores[decision.name], kind="stable"):
                enough = len(taken) >= decision.min_chosen
                full = len(taken) == decision.max_chosen
                if full or (enough and scores[decision.name][index] <= 0):
                    break
                if not set(decision.group_of(int(index))) & set(taken):
                    taken.append(int(index))
            choices[decision.name] = tuple(decision.candidates[index] for index in sorted(taken))
        return Architecture(self.config, choices)

    def frequencies(self, architectures: Sequence[Architecture]) -> dict[str, NDArray[np.float64]]:
        """Return which share of `architectures` chooses each candidate, (candidates,) per decision."""
        counts = {decision.name: np.zeros(len(decision.candidates)) for decision in self.decisions}
        for architecture in architectures:
            for decision in self.decisions:
                for name in architecture.choices[decision.name]:
                    counts[decision.name][decision.candidates.index(name)] += 1 / len(architectures)
        return counts

    def encode(self, architecture: Architecture) -> Tokens:
        """Return one token per slot; `decode` is its inverse."""
        tokens: list[int] = []
        for decision in self.decisions:
            chosen = [decision.candidates.index(name) for name in architecture.choices[decision.name]]
            tokens += chosen + [len(decision.candidates)] * (decision.max_chosen - len(chosen))
        return tuple(tokens)

    def decode(self, tokens: Tokens) -> Architecture:
        """Return the architecture of one token per slot; raises ValueError if they are not legal."""
        choices, start = {}, 0
        for decision in self.decisions:
            part = tokens[start : start + decision.max_chosen]
            start += decision.max_chosen
            chosen = tuple(decision.candidates[i] for i in part if i < len(decision.candidates))
            if len(part) != decision.max_chosen or not decision.allows(chosen):
                raise ValueError(f"{decision.name}: tokens {part} are not a legal choice")
            choices[decision.name] = chosen
        return Architecture(self.config, choices)

    def legal(self, prefix: Sequence[int]) -> NDArray[np.bool_]:
        """Return which values the token after `prefix` may take: (candidates,) or, with a stop, (candidates + 1,)."""
        legal: NDArray[np.bool_] = self.chances(prefix) > 0
        return legal

    def chances(self, prefix: Sequence[int]) -> NDArray[np.float64]:
        """Return with which probability an even draw goes on with each value after `prefix`, of the shape of `legal`.

        A sampler that starts from these spells every legal choice of a decision equally often. Legal values alone do
        not: rising tokens and a stop favour few candidates, and late ones.
        """
        slot = len(prefix)
        if slot >= len(self.slots):
            raise ValueError(f"an architecture has {len(self.slots)} tokens, not more than {slot}")
        key = (slot, tuple(prefix[self._starts[slot] :]))
        if key not in self._chances:
            self._chances[key] = self._chances_after(self.slots[slot], key[1])
        return self._chances[key].copy()

    def _chances_after(self, decision: Decision, part: Tokens) -> NDArray[np.float64]:
        chosen = [token for token in part if token < len(decision.candidates)]
        if len(chosen) < len(part):  # stopped already
            stop = np.zeros(self.vocabulary(decision))
            stop[-1] = 1.0
            return stop
        weights = decision.weights(chosen)
        whole = sum(weights)
        return np.array([weight / whole for weight in weights])

    @staticmethod
    def vocabulary(decision: Decision) -> int:
        """Return how many values the decision's tokens can take, a stop included where it has one."""
        return len(decision.candidates) + decision.free
