"""The last choice of a search: successive halving of a short list, in short trainings of the networks themselves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.shortlist import Rung, total_epochs
from mango_grader.files import read_json, write_json
from mango_grader.progress import SilentProgress
from mango_grader.training.batches import Batches, Examples
from mango_grader.training.divergence import DivergedError
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer, predict
from mango_grader.workflow.distillation import TRAIN_SEED
from mango_grader.workflow.hand_over.found import Found
from mango_grader.workflow.hand_over.inheritance import InheritedWeights, begun, recipe_for
from mango_grader.workflow.run.budget import BudgetPlan, seconds_left
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import epoch_seconds, fixed_seconds

_PHASE = "shortlist"  # of the history

Losses = dict[int, float | None]
"""Of each network of a rung, by its place on the list: its held-out loss; None where its training diverged."""


@dataclass
class Shortlist:
    """The networks among which short trainings choose, and what came of them so far.

    Attributes:
        networks: the search's own result first.
        scores: each one's score under the shared weights; None where it was not asked for.
        rungs: what is trained, and for how long.
        seconds: that the run had taken when this was last written.
        losses: of the rungs that were begun.
    """

    networks: Sequence[Found]
    scores: Sequence[float | None]
    rungs: tuple[Rung, ...]
    seconds: float = 0.0
    losses: list[Losses] = field(default_factory=list)

    def entrants(self, rung: int) -> list[int]:
        """Return the places of the networks of a rung, from 0: the first ones, later the best of the rung before."""
        if rung == 0:
            return list(range(self.rungs[0].networks))
        before = self.losses[rung - 1]
        ranked = sorted(before, key=lambda place: (math.inf if (loss := before[place]) is None else loss, place))
        return sorted(ranked[: self.rungs[rung].networks])

    @property
    def winner(self) -> int:
        """The place of the network with the least loss in the last rung; the first one's where none was trained."""
        if not self.losses:
            return 0
        last = {place: math.inf if loss is None else loss for place, loss in self.losses[-1].items()}
        return min(last, key=lambda place: (last[place], place))

    def rows(self) -> list[dict[str, Any]]:
        """Return what happened, for the history: one row for each training, networks and rungs from 1."""
        return [
            {
                "phase": _PHASE,
                "rung": number + 1,
                "network": place + 1,
                "epochs": self.rungs[number].epochs,
                "loss": loss,
                "score": self.scores[place],
                "macs": self.networks[place].spec.macs()[-1],
                "chosen": place == self.winner,
            }
            for number, losses in enumerate(self.losses)
            for place, loss in losses.items()
        ]

    def write_history(self, folder: RunFolder) -> None:
        """Add what happened to the run's history."""
        before = [row for row in folder.read_history() if row["phase"] != _PHASE]
        folder.write_history(before, self.rows())

    def save(self, folder: RunFolder) -> None:
        """Write everything; shortlist.json comes last, since its presence ends the search itself."""
        for place, found in enumerate(self.networks):
            if found.weights is not None:
                found.weights.save(folder.shortlisted(place + 1))
        self.note(folder)

    def forget_weights(self, folder: RunFolder) -> None:
        """Remove the inherited weights of all networks once the choice is made."""
        for place, _ in enumerate(self.networks):
            folder.shortlisted(place + 1).unlink(missing_ok=True)

    def note(self, folder: RunFolder) -> None:
        """Write what came of the trainings so far."""
        networks = [
            {"architecture": found.architecture.to_dict(), "score": score}
            for found, score in zip(self.networks, self.scores, strict=True)
        ]
        losses = [[[place, loss] for place, loss in rung.items()] for rung in self.losses]
        kept = {"networks": networks, "rungs": self.rungs, "seconds": self.seconds, "losses": losses}
        write_json(folder.shortlist, kept)

    @classmethod
    def load(cls, folder: RunFolder) -> Self:
        """Read what `save` and `note` wrote."""
        kept: Mapping[str, Any] = read_json(folder.shortlist)
        networks = []
        for place, each in enumerate(kept["networks"]):
            found = Found.of(Architecture.from_dict(each["architecture"]))
            weights = InheritedWeights.load(folder.shortlisted(place + 1))
            networks.append(Found(found.architecture, found.spec, weights))
        return cls(
            networks,
            [each["score"] for each in kept["networks"]],
            tuple(Rung(*each) for each in kept["rungs"]),
            kept["seconds"],
            [dict(map(tuple, rung)) for rung in kept["losses"]],
        )


@dataclass(frozen=True)
class ShortTrainings:
    """Trains the networks of a short list for a few epochs each and compares them on images that none has seen.

    Attributes:
        run: the search.
        shown: what the networks learn from, as the super net did.
        held_out: what they are compared on.
        loss: by which they are compared, from the logits of all exits and the labels; the search's objective says
            which.
    """

    run: RunContext
    shown: Examples
    held_out: Examples
    loss: nn.Module

    def rungs(self, networks: Sequence[Found], plan: BudgetPlan) -> tuple[Rung, ...]:
        """Return what is trained, and for how long, by the time that is left now; nothing if that is too little.

        A search that took longer than planned takes from short list and training alike.

        Args:
            networks: among which to choose.
            plan: of the run.
        """
        run = self.run
        assert run.config.search is not None
        config = run.config.search.shortlist
        if len(networks) == 1 or not plan.shortlist_s:
            return ()
        if run.config.budget is None:
            return config.rungs(len(networks))
        left = seconds_left(run.config.budget, fixed_seconds(), run.watch.seconds)
        seconds = min(plan.shortlist_s, left * plan.shortlist_s / (plan.shortlist_s + plan.train_s))
        rungs = config.rungs(len(networks), seconds / self._epoch_seconds(networks))
        if not rungs:
            run.progress.note("short list: there is no time left for it")
        return rungs

    def _epoch_seconds(self, networks: Sequence[Found]) -> float:
        """Time a few steps of the first network, and return the mean seconds of an epoch of all of them."""
        (first, *_), device = networks, self.run.device
        net, batches = begun(first.spec, first.weights, self.run), self._batches
        learner = Learner(net, recipe_for(first.weights, self.run.config, 1, batches.per_epoch), batches, device)
        macs = [found.spec.macs()[-1] for found in networks]
        return epoch_seconds(learner, 0, device) * sum(macs) / (len(macs) * macs[0])

    @property
    def _batches(self) -> Batches:
        config = self.run.config
        return Batches(self.shown, config.train.batch_size, config.seed + TRAIN_SEED, augmenter(config))

    def choose(self, shortlist: Shortlist, plan: BudgetPlan) -> Found:
        """Train rung by rung, and return the network that did best; what was trained already is not trained again.

        Under a budget, no rung begins that would leave the final training less than half of its time.

        Args:
            shortlist: the networks, and what came of them so far.
            plan: of the run.
        """
        run, rungs = self.run, shortlist.rungs
        if not rungs:
            return shortlist.networks[0]
        trained = [shortlist.rungs[number].epochs for number, losses in enumerate(shortlist.losses) for _ in losses]
        with run.progress.task("short list", total_epochs(rungs), sum(trained)) as task:
            for number, rung in enumerate(rungs):
                if number == len(shortlist.losses):
                    if number and self._is_late(plan):
                        break
                    shortlist.losses.append({})
                losses = shortlist.losses[number]
                for place in shortlist.entrants(number):
                    if place not in losses:
                        losses[place] = self._loss_of(shortlist.networks[place], rung.epochs)
                        shortlist.seconds = run.watch.seconds
                        shortlist.note(run.folder)
                        task.advance(rung.epochs)
        shortlist.write_history(run.folder)
        winner = shortlist.winner
        run.progress.note(f"short list: network {winner + 1} of {len(shortlist.networks)} did best in short trainings")
        return shortlist.networks[winner]

    def _is_late(self, plan: BudgetPlan) -> bool:
        budget = self.run.config.budget
        if budget is None:
            return False
        return seconds_left(budget, fixed_seconds(), self.run.watch.seconds) < plan.train_s / 2

    def _loss_of(self, found: Found, epochs: int) -> float | None:
        """Return the held-out loss of a network after a training of so many epochs; None where it diverges."""
        run = self.run
        net = begun(found.spec, found.weights, run)
        batches = self._batches
        recipe = recipe_for(found.weights, run.config, epochs, batches.per_epoch)
        trainer = Trainer(net, recipe, batches, None, run.device, run.config.seed, name="short list")
        try:
            trainer.run(SilentProgress())
        except DivergedError:
            return None
        logits = [torch.from_numpy(each) for each in predict(net, self.held_out, run.device)]
        value: Tensor = self.loss(logits, torch.from_numpy(self.held_out.targets))
        return float(value) if math.isfinite(float(value)) else None
