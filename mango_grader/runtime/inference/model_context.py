"""What a bundle offers to exit policies and decision rules."""

import numpy as np

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.calibration import CalibrationData
from mango_grader.runtime.bundle.manifest import Manifest
from mango_grader.runtime.decisions import RuleContext
from mango_grader.runtime.exits import CalibrationSet, ExitPolicy, PolicyContext
from mango_grader.runtime.inference.measuring import MeasuredTimes
from mango_grader.runtime.inference.sessions import softmax


def policy_context(bundle: Bundle, precision: str = "fp32", times: MeasuredTimes | None = None) -> PolicyContext:
    """Return what a bundle offers to an exit policy.

    Args:
        bundle: of the model.
        precision: in which the stages compute.
        times: of the stages on this host; None where the model is not loaded, so that no deadline can be kept.
    """
    manifest = bundle.manifest
    return PolicyContext(
        macs=tuple(info.macs for info in manifest.exits),
        temperatures=tuple(info.temperature for info in manifest.exits),
        thresholds=manifest.policies,
        read_calibration=lambda: read_calibration(bundle, precision),
        **({} if times is None else {"stage_times": times.of}),
    )


def rule_context(bundle: Bundle, context: PolicyContext, policy: ExitPolicy) -> RuleContext:
    """Return what a bundle offers to a decision rule.

    Args:
        bundle: of the model.
        context: what it offers to exit policies.
        policy: the exit policy that the rule is used with.
    """
    manifest = bundle.manifest
    return RuleContext(
        classes=manifest.classes, ordinal=manifest.ordinal, prices=manifest.prices, policy=policy, model=context
    )


def read_calibration(bundle: Bundle, precision: str = "fp32") -> CalibrationSet:
    """Return the calibration data of a bundle as calibrated probabilities.

    Args:
        bundle: of the model.
        precision: of the stages that gave the answers.

    Raises:
        UsageError: if the bundle has none.
    """
    data, info = bundle.calibration(precision), bundle.manifest.calibration
    if data is None or info is None:
        raise UsageError(
            f"{bundle.path} keeps no calibration data; export its run again, or run mango-grader calibrate with graded "
            "fruit"
        )
    return calibrated(bundle.manifest, data, retrained=info.retrained)


def calibrated(manifest: Manifest, data: CalibrationData, *, retrained: bool = False) -> CalibrationSet:
    """Return a model's logits for graded fruit as calibrated probabilities.

    Args:
        manifest: of the model.
        data: its logits.
        retrained: whether the network has been trained on these images since.
    """
    temperatures = [one.temperature for one in manifest.exits]
    probabilities = np.stack([softmax(*each) for each in zip(data.logits, temperatures, strict=True)])
    return CalibrationSet(probabilities, data.groups, data.labels, retrained)
