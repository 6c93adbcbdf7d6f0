"""The grader of fruit: it looks at each as often and as long as time allows, and fuses the views to one answer."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import MangoError, UsageError
from mango_grader.line.belt import Axes
from mango_grader.line.crops import CropConfig, cut
from mango_grader.line.frame import Frame
from mango_grader.line.grading.answer import Answer
from mango_grader.line.grading.evidence import Evidence
from mango_grader.line.grading.fusions import Fusion, FusionContext, parse_fusion
from mango_grader.line.grading.settings import GradingConfig
from mango_grader.line.grading.size import length_and_width
from mango_grader.line.grading.views import FruitViews, Places, View
from mango_grader.line.grading.work import Round, Work
from mango_grader.line.observations import Sighting
from mango_grader.runtime.decisions import Conformal
from mango_grader.runtime.exits import Reached
from mango_grader.runtime.exits.deadline import MARGIN, MARGIN_MS
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.in_flight import InFlight
from mango_grader.runtime.inference.model_context import read_calibration

_REMEMBERED = 256  # Fruit that were forgotten and may still be seen behind the decision line.


class FruitGrader:
    """Grades fruit by several views, stage by stage: the time goes to the fruit that are most in doubt and due soonest.

    After each stage the answers to the views of a fruit are fused at each exit, and the exit policy of the grader
    decides by these as it would by those to one image. A fruit that it settles costs nothing more. Policies were tuned
    on single images: what `risk` proves holds for one view, and is a rule of thumb for the fused answer.

    There is no area of defects: heat maps show where the evidence for a grade lies, not how far a lesion reaches.

    Args:
        grader: the model with its exit policy and decision rule.
        axes: of the camera and the belt.
        crops: how the image of a fruit is cut from a frame.
        settings: fusion, and how many views.

    Raises:
        UsageError: the fusion is unknown, or the exit policy or decision rule makes no sense for several views.

    Example:
        ```python
        from mango_grader.line import Belt, Blob, Box, Camera

        axes = Axes(Camera(640, 480), Belt("right", decision_line=500))
        fruit_grader = FruitGrader(Grader.load("model.mango"), axes, CropConfig(), GradingConfig())
        frame = Frame(0, 0.0, np.zeros((480, 640, 3), np.uint8))
        blob = Blob(Box(100, 90, 160, 140), np.ones((50, 60), bool), x=130, y=115, complete=True)
        fruit_grader.look(frame, [Sighting(fruit=1, frame=0, time=0.0, blob=blob, along=130, across=115)])
        fruit_grader.work()
        print(fruit_grader.answer(1).grade)
        ```
    """

    def __init__(self, grader: Grader, axes: Axes, crops: CropConfig, settings: GradingConfig) -> None:
        _check(grader, settings)
        self.grader, self.settings = grader, settings
        self.fusion: Fusion = parse_fusion(settings.fusion, fusion_context(grader))
        self._axes, self._crops = axes, crops
        self._places = Places(axes, settings.views)
        self._least_views = min(settings.least_views, settings.views)
        self._exits, self._classes = len(grader.manifest.exits), len(grader.manifest.classes)
        self._fruit: dict[int, FruitViews] = {}
        self._over: deque[int] = deque(maxlen=_REMEMBERED)

    def look(self, frame: Frame, sightings: Sequence[Sighting]) -> None:
        """Take the views that a frame offers; no stage of the model runs.

        Args:
            frame: its image is not kept.
            sightings: of the fruit that it shows.
        """
        for sighting in sightings:
            if sighting.fruit in self._over:
                continue
            fruit = self._fruit.setdefault(sighting.fruit, FruitViews())
            fruit.remaining = self._places.line(sighting) - sighting.along
            if frame.image is None or self._settled(fruit):
                continue
            part = self._places.part(sighting, fruit)
            if part is None:
                continue
            blob = sighting.blob
            pixels = self.grader.manifest.preprocess.fit(cut(frame.image, blob, self._crops)).pixels
            size = length_and_width(blob.mask) if blob.complete else None
            fruit.add(View(frame.index, size, self.grader.model.begin(pixels[None])), part)

    def work(self, allowance_s: float | None = None) -> Work:
        """Run stages until every fruit is settled or has no stage left, or until the time is over; return what ran.

        Args:
            allowance_s: seconds in which to stop; a round is not begun if it is expected to end later, by the times of
                `Grader.stage_times`, which are measured before the clock starts if nobody did. None sets no limit, and
                what runs then depends on the views alone.
        """
        if allowance_s is None:
            rounds = []
            while (following := self._next_round()) is not None:
                self._run(following)
                rounds.append(following)
            return Work(tuple(rounds))
        return self._work_within(allowance_s)

    def repeat(self, work: Work) -> None:
        """Run what an earlier call of `work` ran after the same looks, bit for bit.

        Args:
            work: that it returned.

        Raises:
            MangoError: the looks were others, so that there is no such work.
        """
        for each in work.rounds:
            self._run(each)

    def evidence(self, fruit: int) -> Evidence:
        """Return what is known of a fruit.

        Args:
            fruit: its number.
        """
        return self._fruit.get(fruit, FruitViews()).evidence(self._exits, self._classes)

    def answer(self, fruit: int) -> Answer:
        """Return the answer to a fruit by what is known so far; it has an `error` where nothing is.

        Args:
            fruit: its number.
        """
        views = self._fruit.get(fruit, FruitViews())
        evidence = views.evidence(self._exits, self._classes)
        history = evidence.history(self.fusion)
        length, width = self._size(views)
        known = Answer(fruit, evidence.exits, evidence.digest, length_mm=length, width_mm=width)
        if not len(history) or not np.isfinite(history[-1]).all():
            return replace(known, error=_why_not(evidence))
        probabilities, classes = history[-1].tolist(), self.grader.manifest.classes
        rule = self.grader.rule.under(self.grader.policy)
        decided = rule.decide(np.nan_to_num(history)[:, None], np.array([len(history)]))
        grade = int(decided.answers[0])
        return replace(
            known,
            grade=classes[grade],
            probabilities=tuple(probabilities),
            confidence=probabilities[grade],
            review=None if decided.review is None else bool(decided.review[0]),
            cost=None if decided.costs is None else float(decided.costs[0]),
            labels=None if decided.sets is None else tuple(np.array(classes)[decided.sets[0]].tolist()),
        )

    def forget(self, fruit: int) -> None:
        """Free what is known of a fruit; it is not looked at again while it leaves the image.

        Args:
            fruit: its number.
        """
        self._fruit.pop(fruit, None)
        self._over.append(fruit)

    def state(self) -> dict[str, Any]:
        """Return all that it knows as plain JSON values, for a checkpoint."""
        return {
            "fruit": {str(number): fruit.state() for number, fruit in self._fruit.items()},
            "over": list(self._over),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned; what follows is bit for bit what would have followed then."""
        self._fruit = {int(number): FruitViews.of_state(each) for number, each in state["fruit"].items()}
        self._over = deque(state["over"], maxlen=_REMEMBERED)

    def _work_within(self, allowance_s: float) -> Work:
        times = self.grader.stage_times()
        end = time.perf_counter() + allowance_s
        rounds = []
        while (following := self._next_round()) is not None:
            stage = following.stage - 1
            left_ms = (end - time.perf_counter()) * 1e3 - MARGIN_MS
            most = int(max(left_ms, 0.0) / max(times.expected(stage) * (1 + MARGIN), 1e-6))
            if not most:
                times.refuse(stage)
                break
            following = replace(following, views=following.views[:most])
            start = time.perf_counter()
            self._run(following)
            each_ms = (time.perf_counter() - start) * 1e3 / len(following.views)
            times.learn([each_ms if index == stage else np.nan for index in range(self._exits)])
            rounds.append(following)
        return Work(tuple(rounds))

    def _next_round(self) -> Round | None:
        """Return the stage of the most urgent view, and all views that are to go through the same one."""
        wanted = [
            (-fruit.urgency, number, view.frame, len(view.answers) + 1)
            for number, fruit in self._fruit.items()
            if not fruit.content
            for view in self._in_doubt(fruit)
        ]
        if not wanted:
            return None
        wanted.sort()
        stage = wanted[0][3]
        return Round(stage, tuple((number, frame) for _, number, frame, its in wanted if its == stage))

    def _in_doubt(self, fruit: FruitViews) -> list[View]:
        """Return the views of a fruit whose next stage is to run: all new ones, else the one that is most in doubt."""
        going = [view for view in fruit.views if view.batch is not None]
        fewest = min((len(view.answers) for view in going), default=0)
        if not fewest or self.grader.policy.depends_on == "nothing":
            return [view for view in going if len(view.answers) == fewest]
        return [max(going, key=lambda view: (view.doubt, -view.frame))]

    def _run(self, each: Round) -> None:
        views = [self._waiting(*one, each.stage) for one in each.views]
        batch = InFlight.joined([view.batch for view in views if view.batch is not None])
        answers, behind = self.grader.model.advance(batch)
        for row, (view, answer) in enumerate(zip(views, answers, strict=True)):
            view.answers.append(answer.copy())
            view.batch = behind.rows([row]) if each.stage < self._exits else None
        for number in dict.fromkeys(number for number, _ in each.views):
            self._settle(self._fruit[number])

    def _waiting(self, number: int, frame: int, stage: int) -> View:
        fruit = self._fruit.get(number)
        view = None if fruit is None else fruit.view(frame)
        if view is None or view.batch is None or len(view.answers) != stage - 1:
            raise MangoError(f"fruit {number} has no view of frame {frame} that waits for stage {stage}")
        return view

    def _settle(self, fruit: FruitViews) -> None:
        """Ask the exit policy whether it is content with the fused answers, and free what no stage will read."""
        history = fruit.evidence(self._exits, self._classes).history(self.fusion)
        if not np.isfinite(history).all():
            return
        fruit.doubt = 1.0 - float(history[-1].max())
        fruit.content = all(view.answers for view in fruit.views) and self._is_content(history)
        if self._settled(fruit):
            for view in fruit.views:
                view.batch = None

    def _is_content(self, history: NDArray[np.float64]) -> bool:
        """Return whether the exit policy would stop an image with these answers (k, C).

        Every image stops at the last exit, sure or not, but an unsure fruit may still get another view. So policies are
        never asked there: the newest answer stands in for that of the exit before.
        """
        asked = history if len(history) < self._exits else np.concatenate([history[:-2], history[-1:]])
        return self._exits > 1 and bool(self.grader.policy.settled(Reached(asked[:, None]))[0])

    def _settled(self, fruit: FruitViews) -> bool:
        return fruit.content and len(fruit.views) >= self._least_views

    def _size(self, fruit: FruitViews) -> tuple[float | None, float | None]:
        sizes = [view.size for view in fruit.views if view.size is not None]
        scale = self._axes.camera.mm_per_px
        if not sizes or scale is None:
            return None, None
        length, width = (np.median(sizes, axis=0) * scale).tolist()
        return length, width


def fusion_context(grader: Grader) -> FusionContext:
    """Return what a model offers to a fusion; the prior is how frequent classes are in its calibration data, if any.

    Args:
        grader: with the model.
    """
    manifest = grader.manifest
    counts = np.ones(len(manifest.classes))  # As if one more of each had been seen: no class is impossible.
    if manifest.calibration is not None and manifest.calibration.labelled:
        labels = read_calibration(grader.bundle, grader.model.precision).labels
        counts += np.bincount(labels, minlength=len(counts)) if labels is not None else 0
    prior = tuple((counts / counts.sum()).tolist())
    exits = len(manifest.exits)
    return FusionContext(classes=manifest.classes, ordinal=manifest.ordinal, exits=exits, prior=prior)


def _check(grader: Grader, settings: GradingConfig) -> None:
    """Refuse what is promised for one image and does not hold for several views."""
    if grader.policy.depends_on == "clock":
        raise UsageError(
            f"grading.policy: {grader.policy} gives each image a time of its own, but a line has one for all views of a"
            " fruit: set grading.deadline_ms instead"
        )
    if isinstance(grader.rule, Conformal) and settings.views > 1:
        raise UsageError(
            f"grading.decide: what {grader.rule} promises holds for one image of a fruit, not for an answer fused from"
            ' several: set grading.views = 1, or grading.decide = "argmax" or "cost"'
        )


def _why_not(evidence: Evidence) -> str:
    if not evidence.exits:
        return "no frame shows it between the entry line and the decision line"
    return "the model gave no finite answer" if any(evidence.exits) else "there was no time to look at it"
