"""Training one known network: the end of every search, and `mango-grader train` by itself."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec, build_network
from mango_grader.progress import Progress
from mango_grader.training.batches import Examples
from mango_grader.training.learner import Learner
from mango_grader.training.loop import Trainer
from mango_grader.training.world import World
from mango_grader.workflow.config import Places, RunConfig
from mango_grader.workflow.distillation import (
    TeacherSource,
    open_teacher,
    plain_batches,
    training_batches,
    with_chosen_teacher,
    with_dummy_logits,
    with_teacher_cost,
)
from mango_grader.workflow.finalize import finalize
from mango_grader.workflow.hand_over import InheritedWeights, begun, keep_better, keeps_inherited, recipe_for
from mango_grader.workflow.run.budget import BudgetPlan, Probe, TrainCost, make_plan
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import choose_threads, epoch_seconds, fixed_seconds, peak_memory_mb, use_threads
from mango_grader.workflow.run.weights import save_weights
from mango_grader.workflow.start import started_run


def train(
    out: str | os.PathLike[str],
    config: RunConfig | None,
    *,
    resume: bool = False,
    plan_only: bool = False,
    progress: Progress | None = None,
    moved: Places | None = None,
    world: World | None = None,
) -> RunFolder:
    """Train the configuration's network, calibrate, export and report.

    Args:
        out: folder of the run.
        config: all settings, as `TrainOptions(...).config()` makes them; None where a run is resumed.
        resume: continue the run in `out`; what is done already is not done again.
        plan_only: stop after the budget plan is written.
        progress: told what happens; None keeps it quiet.
        moved: where those things are now that were moved since the run began.
        world: the ranks that share its training steps; None for this process alone.

    Returns:
        The folder, with all that the run has written.

    Raises:
        UsageError: settings, data or a budget cannot work, or the network has another number of classes than the data.
    """
    with started_run("train", out, config, resume=resume, moved=moved, progress=progress, world=world) as run:
        if run is not None:
            _train(run, plan_only)
    return RunFolder(Path(out))


def _train(run: RunContext, plan_only: bool) -> None:
    spec, classes = run.config.network, run.data.dataset.classes
    assert spec is not None
    if spec.classes != len(classes):
        raise UsageError(f"the network has {spec.classes} classes, the data have {len(classes)}: {', '.join(classes)}")
    run = with_chosen_teacher(run)
    training = NetworkTraining(run, open_teacher(run), spec)
    plan = _plan(training)
    run.progress.note(str(plan))
    if plan_only:
        return
    if not run.folder.network.exists():
        write_json(run.folder.network, spec.to_dict())
    training.train(plan.epochs)
    finalize(run)


def _plan(training: "NetworkTraining") -> BudgetPlan:
    """Return the saved plan, or time a few steps and save one, so that a resumed run repeats it."""
    run = training.run
    if not run.folder.plan.exists():
        cost = training.cost()
        threads = None if run.config.budget is None else torch.get_num_threads()
        probe = Probe(None, cost, fixed_seconds(), run.watch.seconds, peak_memory_mb(run.device), threads)
        write_json(run.folder.plan, make_plan(run.config.budget, run.config.train.epochs, probe).to_dict())
    plan = BudgetPlan.from_dict(read_json(run.folder.plan))
    use_threads(plan.threads)
    return plan


@dataclass(frozen=True)
class NetworkTraining:
    """The training of the network that a run ships.

    Attributes:
        run: what the steps of the run work with.
        teacher: whose answers are learned besides the labels; None for the labels alone.
        spec: the network.
        inherited: the weights with which it begins; None for those of --init-from, or new ones.
    """

    run: RunContext
    teacher: TeacherSource | None
    spec: NetworkSpec
    inherited: InheritedWeights | None = None

    def _limited(self, cost: TrainCost, steps: int) -> TrainCost:
        """Return the cost with the numbers of epochs that weights of a search allow and ask for.

        Args:
            cost: of the training.
            steps: of an epoch.
        """
        search = self.run.config.search
        if search is None or not search.inherit:
            return cost
        fewest = 0 if self.inherited is not None and self.inherited.whole else cost.fewest
        return replace(cost, fewest=fewest, enough=max(cost.enough, math.ceil(search.fine_tune.steps / steps)))

    def cost(self) -> TrainCost:
        """Time a few training steps, and the teacher's answers, on this machine.

        With a budget, torch goes on with as many threads as are fastest here.

        Raises:
            UsageError: the recipe asks for what the data or the network cannot have.
        """
        config, data, device = self.run.config, self.run.data, self.run.device
        if config.train.loss == "ordinal" and not data.dataset.ordinal:
            raise UsageError(
                "train.loss=ordinal: the classes have no order; pass --ordinal if they are grades, or set cross_entropy"
            )
        batches = plain_batches(config, data)
        shown = with_dummy_logits(batches, self.spec.classes) if config.teacher else batches
        recipe = recipe_for(self.inherited, config, config.train.epochs, batches.per_epoch)
        learner = Learner(build_network(self.spec), recipe, shown, device, config.distillation)
        if config.budget is not None:
            learner.begin_epoch(0)
            choose_threads(lambda: learner.step(0), device)
        cost = self._limited(TrainCost(epoch_seconds(learner, len(data.val), device)), batches.per_epoch)
        if self.teacher is not None:
            cost = with_teacher_cost(cost, self.teacher, self.run, batches)
        if config.retrain_on_all:
            return cost.times(1 + len(self.run.on_all_images.data.train) / len(data.train))
        return cost

    def train(self, epochs: int) -> None:
        """Train for so many epochs and save the weights, continuing from the folder's checkpoints if there are any.

        A run that retrains on all images trains twice: without the validation images, for its calibration, then with
        them. Weights that were inherited are kept where they do better on the validation images than the trained ones,
        as they may after too few epochs.

        Args:
            epochs: 0 or more; without any, the network keeps the weights that it begins with.
        """
        run, folder = self.run, self.run.folder
        if run.config.retrain_on_all:
            self._phase("train", run, run.data.val, epochs, folder.weights_before_refit)
            again = 0 if keeps_inherited(folder) else epochs
            self._phase("refit", run.on_all_images, None, again, folder.weights)
        else:
            self._phase("train", run, run.data.val, epochs, folder.weights)

    def _phase(self, name: str, run: RunContext, watched: Examples | None, epochs: int, weights: Path) -> None:
        """Train the network on the training part of `run` and save its weights, unless they are there already."""
        if weights.exists():
            return
        folder, config = run.folder, run.config
        rows: list[dict[str, Any]] = []
        batches = training_batches(run, self.teacher, name, epochs) if epochs else None
        net = begun(self.spec, self.inherited, self.run, name)
        if batches is not None:
            trainer = Trainer(
                net,
                recipe_for(self.inherited, config, epochs, batches.per_epoch),
                batches,
                watched,
                run.device,
                config.seed,
                checkpoint=folder.training_checkpoint(name),
                checkpoint_every=config.checkpoint_every,
                distillation=config.distillation,
                name=name,
                stated=config.train.weights,
            )
            trainer.run(run.progress)
            rows += trainer.history
        if self.inherited is not None and watched is not None:
            rows.append(keep_better(net, self.inherited, epochs, run))
        before = [row for row in folder.read_history() if row["phase"] not in {name, *(row["phase"] for row in rows)}]
        folder.write_history(before, rows)
        save_weights(net, weights)
