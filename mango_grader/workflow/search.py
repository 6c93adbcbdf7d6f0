"""`mango-grader search` as a function: data in, run folder out, resumable at any moment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import CostModel, macs
from mango_grader.automl.evaluate import SearchProblem
from mango_grader.automl.figures import RoundFigures, learning_rates
from mango_grader.automl.latency import LatencyTable, latency, predicted_latency
from mango_grader.automl.limits import Constraint, Constraints, InfeasibleError, Limits, unconstrained
from mango_grader.automl.methods import METHODS, MethodSettings, SearchMethod
from mango_grader.automl.movement import too_few_steps
from mango_grader.automl.samplers import UniformSampler
from mango_grader.automl.search import Search, build_search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import SearchData
from mango_grader.automl.surrogate import surrogate_loss
from mango_grader.automl.timetable import StepSeconds, Timetable
from mango_grader.files import read_json, write_json
from mango_grader.progress import Progress
from mango_grader.training.batches import Batches
from mango_grader.training.losses import AnytimeLoss
from mango_grader.training.world import World
from mango_grader.workflow.config import Places, RunConfig
from mango_grader.workflow.constraints import fits_width, narrowed_space, within_latency
from mango_grader.workflow.distillation import TeacherSource, open_teacher, with_chosen_teacher
from mango_grader.workflow.finalize import finalize
from mango_grader.workflow.hand_over import Found, Shortlist, ShortTrainings
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.budget import BudgetPlan, Probe, Shares, Workload, make_plan, seconds_left
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.machine import choose_threads, fixed_seconds, peak_memory_mb, seconds_of, use_threads
from mango_grader.workflow.run.weights import load_matching, started_from
from mango_grader.workflow.search_config import SearchConfig
from mango_grader.workflow.start import started_run
from mango_grader.workflow.train import NetworkTraining

_HELD_OUT = 0.2  # of the training part, for the short list of a method that holds out nothing
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
    world: World | None = None,
) -> RunFolder:
    """Search for a network, train it, calibrate, export and report.

    Args:
        out: folder of the run.
        config: all settings, as `SearchOptions(...).config()` makes them; None where a run is resumed.
        resume: continue the run in `out`; what is done already is not done again.
        plan_only: stop after the budget plan is written.
        progress: told what happens; None keeps it quiet.
        moved: where those things are now that were moved since the run began.
        world: the ranks that share its training steps; None for this process alone.

    Returns:
        The folder, with all that the run has written.

    Raises:
        UsageError: settings, data or a budget cannot work.
        InfeasibleError: no architecture satisfies the limits.
    """
    with started_run("search", out, config, resume=resume, moved=moved, progress=progress, world=world) as run:
        if run is not None:
            _search(run, plan_only)
    return RunFolder(Path(out))


def _search(run: RunContext, plan_only: bool) -> None:
    run = with_chosen_teacher(run)
    assert run.config.search is not None
    teacher = open_teacher(run)
    limits = run.config.search.limits
    with _limits_named(limits):
        searching = _Searching(run, run.config.search, teacher)
        plan = searching.plan()
        run.progress.note(str(plan))
        if limits:
            own = limits == PRESETS[run.config.preset].limits
            lifted = f", as the preset {run.config.preset} has it; --max-macs none lifts it" if own else ""
            run.progress.note(f"plan: limited by {limits}{lifted}")
        run.progress.note(searching.start())
        if (warning := searching.too_few_steps(plan)) is not None:
            run.progress.note(f"plan: warning: {warning}")
        if plan_only:
            return
        if run.folder.network.exists():
            found = Found.load(run.folder)
        else:
            found, plan = searching.complete(plan)
    training = NetworkTraining(run, teacher, found.spec, found.weights)
    training.train(_settled(plan, training).epochs)
    finalize(run)


@contextmanager
def _limits_named(limits: Limits) -> Iterator[None]:
    """Name the limits as the user gave them where no architecture satisfies them."""
    try:
        yield
    except InfeasibleError as error:
        raise error.under(limits) from error


def _settled(plan: BudgetPlan, training: NetworkTraining) -> BudgetPlan:
    """Return the plan with as many epochs as the time that is left allows the network that was found.

    Decided once, and written down, so that a resumed run repeats it.
    """
    run = training.run
    if plan.settled or run.config.budget is None:
        return plan
    cost = training.cost()
    left = seconds_left(run.config.budget, fixed_seconds(), run.watch.seconds)
    plan = plan.settle(cost, run.config.train.epochs, left, torch.get_num_threads())
    write_json(run.folder.plan, plan.to_dict())
    epochs = f"{plan.epochs} training epochs of the network that was found fit the budget"
    run.progress.note(f"plan: {epochs if plan.epochs else 'no time is left to train; the inherited weights answer'}")
    return plan


@dataclass(frozen=True)
class _Searching:
    """The search of a run: how it is planned, built and carried out.

    Attributes:
        run: what the steps of the run work with.
        config: of the search.
        teacher: of the final training, whose time the plan counts.
    """

    run: RunContext
    config: SearchConfig
    teacher: TeacherSource | None

    @cached_property
    def constraints(self) -> Constraints:
        """The space that is searched, and what its architectures must satisfy."""
        whole = replace(self.config.space, classes=len(self.run.data.dataset.classes))
        predicted = predicted_latency(SearchSpace(whole), self._table)
        space = narrowed_space(self.config, whole, predicted, self.run.folder.space)
        return Constraints(space, self.config.limits, predicted)

    @cached_property
    def _table(self) -> LatencyTable:
        return LatencyTable(progress=self.run.progress)

    @property
    def _shares(self) -> Shares:
        return Shares(self.config.train_share, self.config.shortlist)

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        return self.constraints.space

    @property
    def constraint(self) -> Constraint:
        """What the method may propose."""
        return unconstrained if fits_width(self.config) else self.constraints

    def start(self) -> str:
        """Return in words what the shared weights start from."""
        source = started_from(self.space.supernet(), self.run.config.init_from)
        return f"plan: the super net starts from {source or 'new weights'}"

    def plan(self) -> BudgetPlan:
        """Return the saved plan, or time a few steps and save one, so that a resumed run repeats it."""
        run = self.run
        if run.folder.plan.exists():
            plan = BudgetPlan.from_dict(read_json(run.folder.plan))
            run.watch.resume(plan.spent_s)
            use_threads(plan.threads)
            return plan
        run.progress.note("plan: timing a few steps on this machine")
        probe, steps = self._probe()
        settings = self.config.method.settings

        def seconds(effort: float) -> float:
            return self._workload(settings.scaled(effort)).seconds(steps)

        plan = make_plan(run.config.budget, run.config.train.epochs, probe, seconds, self._shares)
        write_json(run.folder.plan, plan.to_dict())
        return plan

    def too_few_steps(self, plan: BudgetPlan) -> str | None:
        """Return why the architecture steps that are planned can move nothing; None where they can."""
        settings = self.config.method.settings.scaled(plan.effort)
        method = self._method(settings)
        kinds = [kind for round_ in self._workload(settings).rounds for kind in round_.steps()]
        steps = kinds.count("architecture")
        return too_few_steps(method.name, steps, method.reach(steps), learning_rates(method))

    def complete(self, plan: BudgetPlan) -> tuple[Found, BudgetPlan]:
        """Search, write down what was found, and return it, with the plan that tells what came of it."""
        folder = self.run.folder
        if folder.shortlist.exists():
            shortlist = Shortlist.load(folder)
            self.run.watch.resume(shortlist.seconds)
        else:
            shortlist, plan = self._searched(plan)
            if shortlist.rungs:
                shortlist.save(folder)
        found = self._trainings.choose(shortlist, plan)
        found.save(folder)
        shortlist.forget_weights(folder)
        return found, plan

    def _searched(self, plan: BudgetPlan) -> tuple[Shortlist, BudgetPlan]:
        """Search; return the networks among which short trainings are to choose, and the plan."""
        folder, progress = self.run.folder, self.run.progress
        search = self._build(self.config.method.settings.scaled(plan.effort))
        search.checkpoint, search.checkpoint_every = folder.search_checkpoint, self.run.config.checkpoint_every
        timetable = search.timetable = self._timetable(plan, search)
        found: list[Architecture] = []

        def find() -> Architecture:
            # Asked again, it goes on from its last checkpoint, the end of its schedule.
            found[:] = [search.run(progress)]
            return self._fitted(found[0])

        result = within_latency(find, self.constraints, self._table, progress)
        folder.write_history(search.history)
        _write_preference(folder, search.method)
        write_json(folder.movement, asdict(search.movement()))
        if timetable is not None:
            rounds = timetable.taken, len(timetable.schedule)
            plan = replace(plan, rounds=rounds, spent_s=self.run.watch.seconds)
            write_json(folder.plan, plan.to_dict())
            if rounds[0] < rounds[1]:
                progress.note(f"search: there was time for {rounds[0]} of {rounds[1]} rounds")
        listed = [(result, search.scored.get(found[0]))]
        if plan.shortlist_s:
            listed += self._others(found[0], search)
        assert search.training is not None
        networks = [Found.of(each).inheriting(search.training.net, self.run) for each, _ in listed]
        if networks[0].weights is not None:
            progress.note(f"search: the result inherits {networks[0].weights} from the super net")
        rungs = self._trainings.rungs(networks, plan)
        kept = rungs[0].networks if rungs else 1
        return Shortlist(networks[:kept], [score for _, score in listed[:kept]], rungs, self.run.watch.seconds), plan

    def _fitted(self, found: Architecture) -> Architecture:
        """Return what was found, as wide as the limits allow where the method leaves them to its end."""
        return self.constraints.widest(found) if fits_width(self.config) else found

    def _others(self, found: Architecture, search: Search) -> Iterator[tuple[Architecture, float | None]]:
        """Yield what comes next to the result and is within all limits, each with its score if it has one."""
        limit = self.config.limits.max_latency
        for other in search.others(found, self.config.shortlist.size - 1):
            with suppress(InfeasibleError):
                fitted = self._fitted(other)
                if limit is None or float(self._table.measured([Found.of(fitted).spec])[0][-1]) <= limit:
                    yield fitted, search.scored.get(other)

    @cached_property
    def _trainings(self) -> ShortTrainings:
        """The short trainings, on what the weights have learned from and what only the architecture has seen."""
        share = self.config.method.settings.held_out or _HELD_OUT
        shown, held_out = self.run.data.held_out(share, self.run.config.seed)
        return ShortTrainings(self.run, shown, held_out, surrogate_loss(self._problem, held_out.targets))

    @property
    def _problem(self) -> SearchProblem:
        return SearchProblem(self.space, self.config.objective, self._cost(), self.constraint)

    def _method(self, settings: MethodSettings) -> SearchMethod:
        return METHODS[self.config.method.name](self.space, self.constraint, settings)

    def _build(self, settings: MethodSettings) -> Search:
        """Return the freshly seeded search."""
        config, seed = self.run.config, self.run.config.seed
        for_weights, held_out = self.run.data.held_out(settings.held_out, seed)
        augmented = augmenter(config, self.config.augment(config.augment))
        batches = Batches(for_weights, self.config.batch_size, seed, augmented)
        loss = AnytimeLoss(config.train.exit_weights, label_smoothing=config.train.label_smoothing)
        data = SearchData(batches, held_out, loss, self.run.device, self.config.sandwich)
        search = build_search(self.config.method.name, settings, self._problem, data, seed)
        if config.init_from is not None and search.training is not None:
            load_matching(search.training.net, config.init_from, self._narrowed_hint())
        return search

    def _cost(self) -> CostModel:
        return macs(self.space) if self.config.cost == "macs" else latency(self.space, self._table)

    def _narrowed_hint(self) -> str:
        """Return, for an error, that limits left less of the space's widths; nothing if they did not."""
        if (width := self.space.config.multiplier) == self.config.space.multiplier:
            return ""
        limits = (
            f"{self.config.limits} left {width:.2f} of its widths; loosen them (--max-macs none lifts the preset's)"
        )
        return f": {limits}, or let the space choose among cheaper ones"

    def _timetable(self, plan: BudgetPlan, search: Search) -> Timetable | None:
        """Return how long the rounds of `search` take, and by when they end; None for a plan that timed no steps."""
        if plan.steps is None or search.training is None:
            return None
        settings = self.config.method.settings.scaled(plan.effort)
        rounds = search.method.schedule(search.training.batches.per_epoch)
        return Timetable(rounds, plan.steps, settings.scores, self.run.watch, plan.deadline_s)

    def _workload(self, settings: MethodSettings) -> Workload:
        """Return what a search with these settings amounts to."""
        method, seed = self._method(settings), self.run.config.seed
        for_weights, _ = self.run.data.held_out(settings.held_out, seed)
        return Workload(method.schedule(Batches(for_weights, self.config.batch_size, seed).per_epoch), settings.scores)

    def _probe(self) -> tuple[Probe, StepSeconds]:
        """Time a few steps of each kind on this machine, on searches that are thrown away."""
        run, device, seed = self.run, self.run.device, self.run.config.seed
        threads = None if run.config.budget is None else self._fastest_threads()
        probe = self._build(self.config.method.settings.scaled(0.0))
        (path,) = UniformSampler(self.space, probe.method.feasible).ask(np.random.default_rng(seed), 1)
        rng = np.random.default_rng(seed)
        probe.method.end_epoch(lambda _: 0.0, rng)  # so that there is something to refit on
        scored = cycle(UniformSampler(self.space, probe.method.feasible).ask(rng, _PROBE_PATHS))
        # First those that draw by what they learn: weights may diverge when the first step is taken again and again.
        with RoundFigures(probe.method, "search, timing").step("architecture"):
            architecture = seconds_of(lambda: probe.method.update(probe.arch_step(0, rng)), 1, device)
            refit = seconds_of(lambda: probe.method.refit(rng), 1, device)
        steps = StepSeconds(
            weights=seconds_of(lambda: probe.weight_step(0, 1, rng), _PROBE_STEPS, device),
            architecture=architecture,
            refit=refit,
            score=seconds_of(lambda: probe.evaluator.score(next(scored)), 1, device),
        )
        training = NetworkTraining(run, self.teacher, self.space.final.derive(path)).cost()
        use_threads(threads)
        fixed = fixed_seconds()
        return Probe(steps, training, fixed, run.watch.seconds, peak_memory_mb(device), threads), steps

    def _fastest_threads(self) -> int:
        """Go on with as many threads as are fastest for weight steps, and return how many those are."""
        # On a search of its own, whose weights may diverge: its first step is taken again and again.
        probe = self._build(self.config.method.settings.scaled(0.0))
        rng = np.random.default_rng(self.run.config.seed)
        return choose_threads(lambda: probe.weight_step(0, 1, rng), self.run.device)


def _write_preference(folder: RunFolder, method: SearchMethod) -> None:
    shares = method.preference()
    named = {d.name: dict(zip(d.candidates, map(float, shares[d.name]), strict=True)) for d in method.space.decisions}
    write_json(folder.preference, named)
