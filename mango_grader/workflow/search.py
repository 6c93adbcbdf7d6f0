"""`mango-grader search` as a function: data in, run folder out, resumable at any moment."""

import os
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.figures import RoundFigures
from mango_grader.automl.methods import METHODS, MethodSettings, SearchMethod
from mango_grader.automl.samplers import InfeasibleError, UniformSampler
from mango_grader.automl.search import Search, SearchData, SearchProblem, build_search
from mango_grader.automl.spaces import SearchSpace
from mango_grader.automl.timetable import StepSeconds, Stopwatch, Timetable
from mango_grader.errors import UsageError
from mango_grader.files import read_json, write_json
from mango_grader.models import NetworkSpec
from mango_grader.progress import Progress, SilentProgress
from mango_grader.training.batches import Batches
from mango_grader.training.device import Device, pick_device
from mango_grader.training.losses import AnytimeLoss
from mango_grader.workflow.admission import Admission
from mango_grader.workflow.budget import BudgetPlan, Rates, Workload, make_plan, seconds_left
from mango_grader.workflow.config import Places, RunConfig, SearchConfig
from mango_grader.workflow.data import PreparedData, augmenter, on_device
from mango_grader.workflow.distillation import TeacherSource, open_teacher, prepare_run
from mango_grader.workflow.finalize import already_finished, finalize
from mango_grader.workflow.folder import RunFolder, opened
from mango_grader.workflow.machine import choose_threads, fixed_seconds, restored_threads, seconds_of, use_threads
from mango_grader.workflow.train import train_cost, train_network
from mango_grader.workflow.weights import load_matching

_PROBE_STEPS = 3
_PROBE_PATHS = 8


def search(
    out: str | os.PathLike[str],
    config: RunConfig | None,
    *,
    resume: bool = False,
    plan_only: bool = False,
    progress: Progress | None = None,
    moved: Places | None = None,
) -> RunFolder:
    """Search, train, calibrate, export and report into the folder `out`; return it.

    With `resume`, `config` may be None, and what is done already is not done again; `moved` says where those things
    are now that were moved. `plan_only` stops after the plan.
    Raises UsageError for settings, data or a budget that cannot work, InfeasibleError if no architecture obeys the
    limits.
    """
    watch = Stopwatch()
    progress = progress or SilentProgress()
    with restored_threads(), opened(out, config, resume=resume, moved=moved) as (folder, config):
        if config.search is None:
            raise UsageError(f"{folder.path} trains a given network; continue it with `mango-grader train --resume`")
        if already_finished(folder, config, progress):
            return folder
        device = pick_device(config.device)
        prepared = on_device(prepare_run(config, folder, progress), device)
        teacher = open_teacher(config, prepared, folder, device)
        space = replace(config.search.space, classes=len(prepared.dataset.classes))
        try:
            admission = Admission(config.search, space, folder.space, progress)
            run = _Run(config, config.search, admission, prepared, teacher, device)
            plan = _planned(folder, run, watch, progress)
            progress.note(str(plan))
            if plan_only:
                return folder
            if not folder.network.exists():
                plan = _search(folder, run, plan, watch, progress)
        except InfeasibleError as error:
            raise error.under(config.search.limits) from error
        spec = NetworkSpec.from_dict(read_json(folder.network))
        if not plan.settled and config.budget is not None:
            cost = train_cost(config, spec, prepared, teacher, device)
            left = seconds_left(config.budget, fixed_seconds(), watch.seconds)
            # Once, and kept, so that a resumed run repeats it.
            plan = plan.settle(cost, config.train.epochs, left, torch.get_num_threads())
            write_json(folder.plan, plan.to_dict())
            progress.note(f"plan: {plan.epochs} training epochs of the network that was found fit the budget")
        train_network(folder, config, spec, prepared, teacher, plan.epochs, device, progress)
        finalize(folder, config, prepared, device, progress)
    return folder


def _search(folder: RunFolder, run: "_Run", plan: BudgetPlan, watch: Stopwatch, progress: Progress) -> BudgetPlan:
    """Search, write what was found, and return the plan with what came of it."""
    found = run.make(run.search.method.settings.scaled(plan.effort))
    found.checkpoint, found.checkpoint_every = folder.search_checkpoint, run.config.checkpoint_every
    timetable = found.timetable = run.timetable(plan, found, watch)
    # Asked again, it goes on from its last checkpoint, the end of its plan.
    architecture = run.admission.within(lambda: found.run(progress))
    folder.write_history(found.history)
    _write_preference(folder, found.method)
    if timetable is not None:
        rounds = timetable.taken, len(timetable.schedule)
        plan = replace(plan, rounds=rounds, spent_s=watch.seconds)
        write_json(folder.plan, plan.to_dict())
        if rounds[0] < rounds[1]:
            progress.note(f"search: there was time for {rounds[0]} of {rounds[1]} rounds")
    _write_result(folder, architecture)
    return plan


def _write_preference(folder: RunFolder, method: SearchMethod) -> None:
    shares = method.preference()
    named = {d.name: dict(zip(d.candidates, map(float, shares[d.name]), strict=True)) for d in method.space.decisions}
    write_json(folder.preference, named)


def _write_result(folder: RunFolder, architecture: Architecture) -> None:
    final = SearchSpace(architecture.space).final
    trained = Architecture(final.config, architecture.choices)
    write_json(folder.architecture, trained.to_dict())
    write_json(folder.network, final.derive(trained).to_dict())  # last: its presence ends the search


@dataclass(frozen=True)
class _Run:
    """What a search is made of, and how it is made of it."""

    config: RunConfig
    search: SearchConfig
    admission: Admission
    data: PreparedData
    teacher: TeacherSource | None
    device: Device

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        return self.admission.space

    def method(self, settings: MethodSettings) -> SearchMethod:
        return METHODS[self.search.method.name](self.space, self.admission, settings)

    def make(self, settings: MethodSettings) -> Search:
        """Return the freshly seeded search."""
        for_weights, for_architecture = self.data.held_out(settings.held_out, self.config.seed)
        augmented = augmenter(self.config, self.search.cutout_probability)
        batches = Batches(for_weights, self.search.batch_size, self.config.seed, augmented)
        loss = AnytimeLoss(self.config.train.exit_weights, label_smoothing=self.config.train.label_smoothing)
        problem = SearchProblem(self.space, self.search.objective, self.admission.cost(), self.admission)
        data = SearchData(batches, for_architecture, loss, self.device)
        made = build_search(self.search.method.name, settings, problem, data, self.config.seed)
        if self.config.init_from is not None and made.training is not None:
            load_matching(made.training.net, self.config.init_from, self._narrowed())
        return made

    def timetable(self, plan: BudgetPlan, search: Search, watch: Stopwatch) -> Timetable | None:
        """Return how long the rounds of `search` take, and by when they end; None for a plan that timed no steps."""
        if plan.steps is None or search.training is None:
            return None
        settings = self.search.method.settings.scaled(plan.effort)
        rounds = search.method.schedule(search.training.batches.per_epoch)
        return Timetable(rounds, plan.steps, settings.scores, watch, plan.deadline_s)

    def _narrowed(self) -> str:
        """Return, for an error, that limits left less of the space's widths; nothing if they did not."""
        if (width := self.space.config.multiplier) == self.search.space.multiplier:
            return ""
        limits = f"--max-params, --max-macs or --max-latency left {width:.2f} of its widths"
        return f": {limits}; loosen them, or let the space choose among cheaper ones"

    def workload(self, settings: MethodSettings) -> Workload:
        """Return what a search with these settings amounts to."""
        method = self.method(settings)
        for_weights, _ = self.data.held_out(method.held_out, self.config.seed)
        per_epoch = Batches(for_weights, self.search.batch_size, self.config.seed).per_epoch
        return Workload(method.schedule(per_epoch), settings.scores)

    def rates(self) -> Rates:
        """Time a few steps of each kind on this machine, on searches that are thrown away."""
        threads = None if self.config.budget is None else self._fastest_threads()
        probe = self.make(self.search.method.settings.scaled(0.0))
        shared = probe.training
        assert shared is not None
        (path,) = UniformSampler(self.space, probe.method.feasible).ask(np.random.default_rng(self.config.seed), 1)
        rng = np.random.default_rng(self.config.seed)
        probe.method.end_epoch(lambda _: 0.0, rng)  # so that there is something to refit on
        scored = cycle(UniformSampler(self.space, probe.method.feasible).ask(rng, _PROBE_PATHS))
        # First those that draw by what they learn: weights may diverge when the first step is taken again and again.
        with RoundFigures(probe.method, "search, timing").step("architecture"):
            architecture = seconds_of(lambda: probe.method.update(probe.arch_step(0, rng)), 1, self.device)
            refit = seconds_of(lambda: probe.method.refit(rng), 1, self.device)
        steps = StepSeconds(
            weights=seconds_of(lambda: shared.step(0, 1, probe.method.gates(rng)), _PROBE_STEPS, self.device),
            architecture=architecture,
            refit=refit,
            score=seconds_of(lambda: probe.evaluator.score(next(scored)), 1, self.device),
        )
        spec = self.space.final.derive(path)
        training = train_cost(self.config, spec, self.data, self.teacher, self.device)
        use_threads(threads)
        return Rates(steps, training, fixed_seconds(), threads)

    def _fastest_threads(self) -> int:
        """Go on with as many threads as are fastest for weight steps, and return how many those are."""
        # On a search of its own, whose weights may diverge: its first step is taken again and again.
        probe = self.make(self.search.method.settings.scaled(0.0))
        shared, rng = probe.training, np.random.default_rng(self.config.seed)
        assert shared is not None
        return choose_threads(lambda: shared.step(0, 1, probe.method.gates(rng)), self.device)


def _planned(folder: RunFolder, run: _Run, watch: Stopwatch, progress: Progress) -> BudgetPlan:
    """Return the saved plan, or probe this machine and save one, so that a resumed run repeats it."""
    if folder.plan.exists():
        plan = BudgetPlan.from_dict(read_json(folder.plan))
        watch.resume(plan.spent_s)
        use_threads(plan.threads)
        return plan
    progress.note("plan: timing a few steps on this machine")
    rates = run.rates()
    plan = make_plan(
        run.config.budget,
        rates,
        run.search.method.settings,
        run.workload,
        run.config.train.epochs,
        watch.seconds,
        run.device,
    )
    write_json(folder.plan, plan.to_dict())
    return plan
