"""How good a trained network is: calibrated and tuned on validation data, measured on test data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_grader.files import read_json, to_json, write_json, write_text
from mango_grader.models import AnytimeClassifier
from mango_grader.runtime.bundle.guessing import Guessing
from mango_grader.runtime.bundle.manifest import CalibrationInfo
from mango_grader.runtime.calibration.fitting import Calibration, calibrated, fit_temperature, tune_threshold
from mango_grader.runtime.exits import (
    CalibrationSet,
    DefaultPolicy,
    ExitPolicy,
    Full,
    PolicyContext,
    Threshold,
    default_policy,
    parse_exit_policy,
    stop_exits,
)
from mango_grader.training.batches import Examples
from mango_grader.training.divergence import DivergedError
from mango_grader.training.loop import predict
from mango_grader.training.metrics import EvaluationSet, ExitMetrics, PolicyMetrics, exit_metrics, policy_metrics
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import PreparedData
from mango_grader.workflow.run.folder import RunFolder
from mango_grader.workflow.run.side_by_side import SideBySide, side_by_side


@dataclass(frozen=True)
class Measured:
    """Figures on one set of images.

    Attributes:
        exits: of every exit, from first to last.
        policies: of every exit policy.
    """

    exits: tuple[ExitMetrics, ...]
    policies: tuple[PolicyMetrics, ...]

    @property
    def guessing(self) -> Guessing:
        """The last exit beside always answering the commonest class."""
        return self.exits[-1].guessing

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Measured":
        """Rebuild from `to_dict`'s data."""
        exits = tuple(ExitMetrics.from_dict(each) for each in data["exits"])
        return cls(exits, tuple(PolicyMetrics.from_dict(each) for each in data["policies"]))


def measure(
    probabilities: NDArray[np.float32],
    evaluated: EvaluationSet,
    *,
    macs: Sequence[int],
    params: Sequence[int],
    policies: Mapping[str, ExitPolicy],
) -> Measured:
    """Measure every exit and the exit policies, among them always "full".

    Args:
        probabilities: (K, N, C), calibrated, of every exit.
        evaluated: the N images.
        macs: (K,), multiply-adds up to and with each exit.
        params: (K,), parameters likewise.
        policies: others than "full", by their names.
    """
    exits = exit_metrics(probabilities, evaluated, macs, params)
    tried: dict[str, ExitPolicy] = {"full": Full(), **policies}
    measured = (policy_metrics(name, policy, probabilities, evaluated, macs) for name, policy in tried.items())
    return Measured(exits, tuple(measured))


@dataclass(frozen=True)
class RunMeasurements:
    """All that a run measures.

    Attributes:
        calibration: chosen on the validation part.
        val: figures on the validation part.
        test: figures on the test part.
        probabilities: (exits, N, classes) of the test images, in the order of their rows.
        stops: (N,) int, index of the exit at which the default exit policy answers each of them, from 0.
        together: exit policies with decision rules, on the test part; empty for a run of an earlier version.
    """

    calibration: Calibration
    val: Measured
    test: Measured
    probabilities: NDArray[np.float32]
    stops: NDArray[np.int64]
    together: SideBySide = SideBySide()

    def save(self, folder: RunFolder, data: PreparedData) -> None:
        """Write metrics.json and predictions.jsonl.

        Args:
            folder: of the run.
            data: that was measured on.
        """
        classes = data.dataset.classes
        write_json(
            folder.metrics,
            {
                "classes": list(classes),
                "ordinal": data.dataset.ordinal,
                "calibration": asdict(self.calibration),
                "val": self.val.to_dict(),
                "test": self.test.to_dict(),
                "together": self.together.to_dict(),
            },
        )
        rows = zip(
            data.paths(data.test),
            data.groups(data.test),
            data.test.targets,
            np.moveaxis(self.probabilities, 0, 1).tolist(),
            (self.stops + 1).tolist(),
            strict=True,
        )
        lines = [
            to_json({"path": path, "group": group, "label": classes[label], "probabilities": answers, "exit": stop})
            for path, group, label, answers, stop in rows
        ]
        write_text(folder.predictions, "".join(line + "\n" for line in lines))

    @classmethod
    def load(cls, folder: RunFolder) -> "RunMeasurements":
        """Read what `save` wrote.

        Args:
            folder: of the run.
        """
        found = read_json(folder.metrics)
        calibration = Calibration.from_dict(found["calibration"])
        rows = [json.loads(line) for line in folder.predictions.read_text(encoding="utf-8").splitlines()]
        answers = np.array([row["probabilities"] for row in rows], np.float32)
        val, test = (Measured.from_dict(found[part]) for part in ("val", "test"))
        probabilities = np.moveaxis(answers, 0, 1)
        if all("exit" in row for row in rows):
            stops = np.array([row["exit"] - 1 for row in rows])
        else:  # of an earlier version, whose default was this
            stops = stop_exits(Threshold.of(calibration.tuned), probabilities)
        together = SideBySide.from_dict(found["together"]) if "together" in found else SideBySide()
        return cls(calibration, val, test, probabilities, stops, together)


def run_default(run: RunContext, exits: int) -> DefaultPolicy:
    """Return the exit policy that a run's model uses unless another one is named.

    Args:
        run: whose validation part is the model's calibration data.
        exits: number of exits.
    """
    images, groups = len(run.data.val), len(set(run.data.groups(run.data.val)))
    return default_policy(exits, CalibrationInfo(images, groups, labelled=True, retrained=run.config.retrain_on_all))


def measure_run(run: RunContext, net: AnytimeClassifier, before_refit: AnytimeClassifier) -> RunMeasurements:
    """Fit temperatures and thresholds on the validation part, then measure both parts; test data touch no choice.

    Args:
        run: the run, whose data are measured on.
        net: the trained network.
        before_refit: the same network with weights that never saw the validation part, which is measured with these.

    Raises:
        DivergedError: the network's answers are not finite numbers.
    """
    data, device = run.data, run.device
    device.place(net)
    device.place(before_refit)
    macs, params = net.spec.macs(), net.spec.params()
    logits = _finite(predict(before_refit, data.val, device))
    temperatures = tuple(fit_temperature(exit_logits, data.val.targets) for exit_logits in logits)
    val = calibrated(logits, temperatures)
    tuned = tune_threshold(val, data.val.targets, macs)
    calibration = Calibration(temperatures, tuned.values, tuned.signal)
    default = run_default(run, len(macs)).policy
    context = _offered(run, macs, calibration, val)
    tuned_ones = dict.fromkeys([*context.thresholds, default] if len(macs) > 1 else [])
    policies = {name: parse_exit_policy(name, context) for name in tuned_ones if name != "full"}
    test = calibrated(_finite(predict(net, data.test, device)), temperatures)

    def evaluated(examples: Examples) -> EvaluationSet:
        dataset = data.dataset
        return EvaluationSet(examples.targets, data.groups(examples), dataset.classes, dataset.ordinal, run.config.seed)

    on_test = evaluated(data.test)
    costs: dict[str, Any] = {"macs": macs, "params": params, "policies": policies}
    return RunMeasurements(
        calibration,
        measure(val, evaluated(data.val), **costs),
        measure(test, on_test, **costs),
        test,
        stop_exits(policies.get(default, Full()), test),
        side_by_side(context, default, test, on_test),
    )


def _offered(run: RunContext, macs: Sequence[int], calibration: Calibration, val: NDArray[np.float32]) -> PolicyContext:
    """Return what the run's model offers to exit policies: its calibration data are the validation part."""
    data = run.data
    groups = np.unique(data.groups(data.val), return_inverse=True)[1]
    answers = CalibrationSet(val, groups, data.val.targets, run.config.retrain_on_all)
    return PolicyContext(
        macs=tuple(macs),
        temperatures=calibration.temperatures,
        thresholds={"threshold": calibration.tuned} if len(macs) > 1 else {},
        read_calibration=lambda: answers,
    )


def _finite(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(logits).all():
        raise DivergedError(
            "the trained network's answers are not finite numbers; train again with a lower learning rate"
        )
    return logits
