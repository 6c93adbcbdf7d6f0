"""Binary gates (Cai et al., ProxylessNAS, 2019, §3.2): logits of candidates that learn while few paths are run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel
from mango_grader.automl.movement import adam_gap, most_decided
from mango_grader.automl.relaxations.relative_cost import RelativeCost
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.spaces import Decision
from mango_grader.automl.supernet import Gate, Gates
from mango_grader.ranges import NotNegative, Positive, Ranged


@dataclass(frozen=True)
class BinaryGateSettings(Ranged):
    """How binary gates learn.

    Attributes:
        lr: Adam's rate on the logits, above 0 (BetaNAS §4.1: 0.001).
        paths: how many candidates of a decision a step runs: "two" decides between a sampled pair and leaves all other
            probabilities as they are (ProxylessNAS §3.2.1), "all" runs every live candidate (§3.2).
        cost_weight: λ of L + λ·E[cost] (BetaNAS Eq. 6), 0 or more. Cost 1 is what the space costs in the mean before
            anything is decided, so that λ has no unit; BetaNAS names no λ, 0.1 is what the released code of
            ProxylessNAS takes for a cost so normalised.
    """

    lr: Positive = 1e-3
    paths: Literal["two", "all"] = "two"
    cost_weight: NotNegative = 0.1


@dataclass(frozen=True)
class Opened:
    """What an architecture step runs, all decisions' candidates one after another.

    Attributes:
        gates: by decision, views of `weights`.
        weights: (all candidates,), 1 for what is chosen and 0 else, requiring gradients.
        rivals: (all candidates,), true for those between which the step decides.
    """

    gates: Gates
    weights: Tensor
    rivals: Tensor


class BinaryGates:
    """One logit α per candidate, equal at first, and a mask of the candidates that are still alive.

    A decision for exactly k draws k times without replacement, each time by softmax(α) over the live candidates that
    may still be added (at most one per group). In a free subset each candidate is a pair of its own: its odds
    are those of an even draw times exp(α), so that it is kept with probability sigmoid(α) where those are 1. Too few
    are filled up, too many cut, by the rounding rule of the space.

    With p the probabilities, ∂L/∂α_i ≈ Σ_j (∂L/∂g_j) ∂p_j/∂α_i (ProxylessNAS Eq. 4), which is
    Σ_j (∂L/∂g_j) p_j (δ_ij − p_i) for one of n and (∂L/∂g_i) p_i (1 − p_i) for a keep/drop pair. The cost is one more
    summand of ∂L/∂g_j: λ ∂E[cost]/∂p_j. So it, too, moves only what the step decides about.

    Our readings. Of a decision for k > 1, two paths contest one of the k drawn seats, picked uniformly, while the
    others are held. Adam has no momentum (β₁ = 0, as in the released code of ProxylessNAS), because momentum would go
    on moving candidates that a step has not sampled.

    Args:
        space: whose candidates have gates.
        settings: how they learn; None takes the published ones.

    Attributes:
        logits: α, (all candidates,), all decisions' one after another.
        live: (all candidates,), true for what has not been dropped.
    """

    def __init__(self, space: SearchSpace, settings: BinaryGateSettings | None = None) -> None:
        self.space = space
        self.settings = settings or BinaryGateSettings()
        self._sizes = [len(decision.candidates) for decision in space.decisions]
        self.logits = torch.zeros(sum(self._sizes), dtype=torch.float64, requires_grad=True)
        self.live = torch.ones(sum(self._sizes), dtype=torch.bool)
        self._adam = torch.optim.Adam([self.logits], lr=self.settings.lr, betas=(0.0, 0.999))
        even = self._chances_under(torch.zeros_like(self.logits), torch.ones_like(self.live))
        self._cost = RelativeCost({name: part.detach() for name, part in even.items()})

    def probabilities(self) -> dict[str, Tensor]:
        """Return how likely each candidate is to be chosen, (candidates,) per decision, with gradients to α.

        For exactly one this is softmax(α) over the live candidates, for exactly k the chance to be among the k drawn,
        for a free subset the chance to be kept; 0 for the dropped.
        """
        return self._chances_under(self.logits, self.live)

    def reach(self, steps: int) -> float:
        """Return what is decided at most after so many steps, in [0, 1].

        A candidate that a share s of the steps runs moves 1/√s times as far in each of them, since Adam divides by the
        slopes' root mean square; so 2 of n move √(2/n) times as far in all.

        Args:
            steps: of Adam, 0 or more.
        """
        pairs = self.settings.paths == "two"
        shares = (1.0 if d.free or not pairs else min(1.0, 2 / len(d.candidates)) for d in self.space.decisions)
        return most_decided(self.space.decisions, max(shares) ** 0.5 * adam_gap(self.settings.lr, steps))

    def preference(self) -> dict[str, NDArray[np.float64]]:
        """Return `probabilities` as arrays."""
        return {name: part.detach().numpy().copy() for name, part in self.probabilities().items()}

    def alive(self) -> dict[str, NDArray[np.bool_]]:
        """Return which candidates have not been dropped, (candidates,) per decision."""
        return {decision.name: live.numpy().copy() for decision, live in self._each(self.live)}

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Return α for rounding, (candidates,) per decision; the dropped come below all others and below 0."""
        return {
            decision.name: torch.where(live, logits, logits.min().clamp(max=0.0) - 1.0).numpy()
            for decision, logits, live in self._each(self.logits.detach(), self.live)
        }

    def favourite(self) -> Architecture:
        """Return the architecture of the largest α."""
        return self.space.nearest(self.scores())

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw an architecture by the probabilities."""
        return self.space.nearest(self._perturbed(rng, self.logits.detach()))

    def draw(self, rng: np.random.Generator) -> tuple[Architecture, Tensor]:
        """Draw an architecture by the probabilities; return it with log p, a scalar that carries gradients to α.

        Of a decision for k, p is that of its draws in their order, which leaves the policy gradient without bias. Of a
        free subset, p is that of each candidate by itself, as if no number of them were too few or too many.
        """
        drawn = self._perturbed(rng, self.logits.detach())
        architecture = self.space.nearest(drawn)
        chances = [
            _log_chance(decision, logits, live, architecture.choices[decision.name], drawn[decision.name])
            for decision, logits, live in self._each(self.logits, self.live)
        ]
        return architecture, torch.stack(chances).sum()

    def ascend(self, goal: Tensor) -> None:
        """Take an Adam step up the gradient of `goal`, a scalar made of what `draw` returned."""
        self.logits.grad = -torch.autograd.grad(goal, self.logits)[0]
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def sample_evenly(self, rng: np.random.Generator) -> Architecture:
        """Draw a legal architecture of live candidates evenly, whatever α is."""
        return self.space.sample(rng, {name: alive.tolist() for name, alive in self.alive().items()})

    def drop(self, below: float) -> None:
        """Remove for good the live candidates whose probability is less than `below` times that under equal α.

        So it is a share of 1/n for one of n live candidates (our reading of BetaNAS's threshold), and of that of
        an even draw in a free subset. The candidates of the favourite stay, so that there is always a legal choice.
        """
        favourite, chances = self.favourite(), self.preference()
        even = self._chances_under(torch.zeros_like(self.logits), self.live)
        for decision, live in self._each(self.live):
            best = [name in favourite.choices[decision.name] for name in decision.candidates]
            live &= torch.from_numpy(best | (chances[decision.name] >= below * even[decision.name].numpy()))

    def open(
        self, rng: np.random.Generator, device: torch.device | str = "cpu", path: Architecture | None = None
    ) -> Opened:
        """Draw what the next architecture step runs, and between which candidates it decides.

        Args:
            rng: for the draws.
            device: where the weights are to be.
            path: what is run, where something else has drawn it: then only its rivals are drawn here.
        """
        drawn = self._perturbed(rng, self.logits.detach())
        architecture = path or self.space.nearest(drawn)
        ones = torch.zeros(len(self.logits))
        rivals = torch.zeros_like(self.live)
        for decision, logits, live, one, rival in self._each(self.logits.detach(), self.live, ones, rivals):
            chosen = [decision.candidates.index(name) for name in architecture.choices[decision.name]]
            one[chosen] = 1.0
            if decision.free or self.settings.paths == "all":
                rival |= live
            elif pair := _contested(decision, chosen, drawn[decision.name], rng):
                rival[pair] = True
                if path is None:
                    one[pair] = 0.0
                    one[rng.choice(pair, p=logits[pair].softmax(0).numpy())] = 1.0
        weights = ones.to(device).requires_grad_()
        active = self._each((ones > 0) | rivals, weights)
        return Opened(
            {d.name: Gate(tuple(runs.nonzero().flatten().tolist()), part) for d, runs, part in active}, weights, rivals
        )

    def gradient(self, opened: Opened, slopes: Tensor) -> Tensor:
        """Return ∂L/∂α, (all candidates,); 0 for all but the step's rivals.

        Args:
            opened: what the step ran.
            slopes: ∂L/∂g, (all candidates,).
        """
        pairs = self.settings.paths == "two"
        terms = [
            slope @ _chances(decision, logits, rivals, 1 if pairs else decision.min_chosen)
            for decision, logits, slope, rivals in self._each(self.logits, slopes.to(self.logits), opened.rivals)
            if rivals.any()
        ]
        return torch.autograd.grad(torch.stack(terms).sum(), self.logits)[0] if terms else torch.zeros_like(self.logits)

    def descend(self, opened: Opened, slopes: Tensor) -> None:
        """Take an Adam step along `gradient`, then shift the rivals so that the softmax of no other has changed.

        Args:
            opened: what the step ran.
            slopes: ∂L/∂g, (all candidates,).
        """
        before = self.logits.detach().clone()
        self.logits.grad = self.gradient(opened, slopes)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        for decision, was, now, rivals in self._each(before, self.logits.detach(), opened.rivals):
            if rivals.any() and not decision.free:
                now[rivals] += was[rivals].logsumexp(0) - now[rivals].logsumexp(0)

    def learn(self, step: ArchStep, path: Architecture | None = None) -> Mapping[str, Tensor]:
        """Take one step on the held-out loss and the expected cost; nothing where a table stands for the net.

        Args:
            step: what the step may use.
            path: what is run; None draws it by the probabilities.

        Returns:
            The loss and, where it has a weight, the expected cost as a share of the undecided space's.
        """
        if step.shared is None:
            return {}
        opened = self.open(step.rng, step.shared.training.device.torch, path)
        loss = step.shared.held_out_loss(opened.gates)
        (slopes,) = torch.autograd.grad(loss, opened.weights, allow_unused=True, materialize_grads=True)
        figures, slopes = {"held_out_loss": loss.detach()}, slopes.cpu()
        if self.settings.cost_weight:
            figures["expected_cost"], prices = self.prices(step.cost)
            slopes = slopes + self.settings.cost_weight * prices
        self.descend(opened, slopes)
        return figures

    def prices(self, cost: CostModel) -> tuple[Tensor, Tensor]:
        """Return E[cost] of the whole network and ∂E[cost]/∂p (all candidates,), in units of the undecided space."""
        chances = {name: part.detach().requires_grad_() for name, part in self.probabilities().items()}
        expected = self._cost(cost, chances)
        parts = torch.autograd.grad(expected, list(chances.values()), allow_unused=True, materialize_grads=True)
        return expected.detach(), torch.cat(parts)

    def relative_cost(self, cost: CostModel, architecture: Architecture) -> float:
        """Return what an architecture costs, in units of the undecided space."""
        return float(cost.exact(architecture)[-1]) / self._cost.unit(cost)

    def state_dict(self) -> dict[str, Any]:
        """Return logits, live candidates and Adam's state."""
        return {"logits": self.logits.detach(), "live": self.live, "adam": self._adam.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.logits.detach().copy_(state["logits"])
        self.live.copy_(state["live"])
        self._adam.load_state_dict(state["adam"])

    def _each(self, *flat: Tensor) -> Iterator[tuple[Any, ...]]:
        """Yield each decision with its parts (views) of `flat`."""
        return zip(self.space.decisions, *(torch.split(tensor, self._sizes) for tensor in flat), strict=True)

    def _chances_under(self, logits: Tensor, live: Tensor) -> dict[str, Tensor]:
        each = self._each(logits, live)
        return {d.name: _chances(d, own, alive, d.min_chosen) for d, own, alive in each}

    def _perturbed(self, rng: np.random.Generator, logits: Tensor) -> dict[str, NDArray[np.float64]]:
        """Return α plus noise, by which rounding is sampling.

        The largest k under Gumbel noise are k draws by softmax without replacement; under logistic noise α, with the
        log odds of an even draw, is positive with the probability to be kept.
        """
        drawn = {}
        for decision, part, live in self._each(logits, self.live):
            noise = rng.logistic if decision.free else rng.gumbel
            moved = part.numpy() + math.log(decision.odds) + noise(size=len(part))
            drawn[decision.name] = np.where(live.numpy(), moved, -np.inf)
        return drawn


def _contested(
    decision: Decision, chosen: Sequence[int], drawn: NDArray[np.float64], rng: np.random.Generator
) -> list[int]:
    """Return one of the chosen and the best drawn that could legally take its seat; nothing if no other can."""
    seat = int(rng.choice(chosen))
    held = {index for other in chosen if other != seat for index in decision.group_of(other)}
    others = [i for i in np.argsort(-drawn).tolist() if i != seat and i not in held and np.isfinite(drawn[i])]
    return [seat, others[0]] if others else []


def _log_chance(
    decision: Decision, logits: Tensor, live: Tensor, chosen: Sequence[str], drawn: NDArray[np.float64]
) -> Tensor:
    """Return the log of the probability with which `drawn` came to be chosen; a scalar."""
    kept = torch.tensor([name in chosen for name in decision.candidates])
    if decision.free:
        return F.logsigmoid(torch.where(kept, logits, -logits))[live].sum()
    left, total = live.clone(), torch.zeros((), dtype=logits.dtype)
    for index in sorted(kept.nonzero().flatten().tolist(), key=lambda place: -drawn[place]):
        total = total + logits.masked_fill(~left, -torch.inf).log_softmax(0)[index]
        left[list(decision.group_of(index))] = False
    return total


def _chances(decision: Decision, logits: Tensor, live: Tensor, seats: int) -> Tensor:
    """Return the chance of each of the `live` (candidates,) to be kept, or to be among `seats` drawn."""
    if decision.free:
        return torch.sigmoid(logits + math.log(decision.odds)) * live
    return _inclusion(logits, live, decision.sets, seats)


def _inclusion(logits: Tensor, live: Tensor, groups: Sequence[tuple[int, ...]], seats: int) -> Tensor:
    """Return p plus, for every group that the first draw may take, its chance times what the other draws give."""
    first = logits.masked_fill(~live, -torch.inf).softmax(0)
    if seats == 1:
        return first
    total = first
    for group in groups:
        if live[list(group)].any():
            left = live.clone()
            left[list(group)] = False
            total = total + first[list(group)].sum() * _inclusion(logits, left, groups, seats - 1)
    return total
