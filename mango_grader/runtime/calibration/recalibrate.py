"""Gives a model fresh calibration fruit or other defaults, in a new bundle; its graphs stay as they are."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.files import replacing
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.bundle.archive import CARD, Bundle, write_bundle
from mango_grader.runtime.bundle.calibration import calibration_names, calibration_parts
from mango_grader.runtime.bundle.golden import Golden, Originals, golden_parts, original_parts
from mango_grader.runtime.bundle.manifest import SCHEMA, ExitInfo, Manifest, Prices, Thresholds
from mango_grader.runtime.calibration.fitting import calibrated, fit_temperature, tune_threshold
from mango_grader.runtime.calibration.fruit import AnsweredFruit, CalibrationFruit, answer_fruit
from mango_grader.runtime.calibration.realised import RealisedCost, realised_cost
from mango_grader.runtime.exits import default_policy
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.sessions import StagedModel
from mango_grader.text import counted

_THRESHOLD = "threshold"


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a bundle uses unless its user names something else.

    Attributes:
        policy: text of an exit policy; None keeps the bundle's own, or chooses one anew for fresh fruit.
        decide: text of a decision rule, which names no file; None keeps the bundle's own.
        prices: of the rule "cost"; None keeps the bundle's own.
    """

    policy: str | None = None
    decide: str | None = None
    prices: Prices | None = None


@dataclass(frozen=True)
class Recalibration:
    """A bundle that was calibrated again.

    Attributes:
        bundle: the new one.
        before: temperatures of the exits in the former bundle.
        accuracy: (K,), share of correct answers of each exit on the fresh fruit, 0..1; () where nobody graded them.
        reason: why the default exit policy is what it is.
        errors: why an image of the fruit has no answer, by its name.
        cost: of the default decisions on the graded calibration fruit; None for a rule without prices.
    """

    bundle: Bundle
    before: tuple[float, ...]
    accuracy: tuple[float, ...] = ()
    reason: str = "as it was"
    errors: Mapping[str, str] = field(default_factory=dict)
    cost: RealisedCost | None = None


def recalibrate(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    fruit: CalibrationFruit | None = None,
    defaults: Defaults | None = None,
    progress: Progress | None = None,
) -> Recalibration:
    """Write a model again with fresh calibration fruit, other defaults, or both.

    With graded fruit, temperatures and the thresholds of the policy "threshold" are fitted anew. Without grades, both
    stay, and only what needs no grades can be chosen on the fruit. The golden answers change with the temperatures.

    Args:
        model: a .mango file, or the folder of a finished run.
        out: the new .mango file.
        fruit: that the model was not trained on; None keeps the calibration data.
        defaults: exit policy, decision rule and prices.
        progress: told how far it is; None keeps it quiet.

    Raises:
        UsageError: if `out` is there already, if the model is of schema 1, or if a default cannot be used with this
            model and its fruit.
        BundleError: if the model is damaged.

    Example:
        ```python
        from mango_grader.runtime import Defaults, recalibrate

        recalibrate("model.mango", "thrifty.mango", defaults=Defaults(policy="exit:1"))
        ```
    """
    bundle, defaults = Bundle.open(model), defaults or Defaults()
    if Path(out).exists():
        raise UsageError(f"{out} is there already; choose another name for the new model")
    if not bundle.manifest.originals:
        raise UsageError(f"{bundle.path} has schema 1, which cannot be calibrated again; export its run again first")
    answered = None if fruit is None else answer_fruit(bundle, fruit, "cpu", progress or SilentProgress())
    kept = {name: bundle.read(name) for name in bundle.manifest.hashes}
    parts, manifest, accuracy = _with_fruit(bundle, kept, answered)
    chosen = default_policy(len(manifest.exits), manifest.calibration)
    automatic = answered is not None and defaults.policy is None and _is_automatic(bundle.manifest.default_policy)
    manifest = replace(
        manifest,
        default_policy=chosen.policy if automatic else defaults.policy or manifest.default_policy,
        default_decide=defaults.decide or manifest.default_decide,
        prices=defaults.prices or manifest.prices,
        provenance={**manifest.provenance, "recalibrated": _provenance(bundle, answered)},
        hashes={},
    )
    parts[CARD] = _card(bundle.card, manifest, answered)
    with replacing(out) as temporary:
        write_bundle(temporary, manifest, parts)
        # Named again, so that a default that cannot be used is the caller's mistake, not the bundle's.
        grader = Grader.load(temporary, "cpu", policy=manifest.default_policy, decide=manifest.default_decide)
        cost = realised_cost(grader)
    reason = chosen.reason if automatic else "as asked for" if defaults.policy else "as it was"
    return Recalibration(
        Bundle.open(out),
        tuple(info.temperature for info in bundle.manifest.exits),
        accuracy,
        reason,
        answered.errors if answered else {},
        cost,
    )


def _is_automatic(policy: str) -> bool:
    """Return whether a default was chosen by an export, so that fresh fruit may change it."""
    return policy.partition(":")[0] in {"full", _THRESHOLD, "risk"}


def _with_fruit(
    bundle: Bundle, kept: dict[str, bytes], answered: AnsweredFruit | None
) -> tuple[dict[str, bytes], Manifest, tuple[float, ...]]:
    """Return parts and manifest with fresh calibration data, and each exit's accuracy on them."""
    manifest = replace(bundle.manifest, schema=SCHEMA)
    if answered is None:
        return kept, manifest, ()
    data = answered.data["fp32"]
    old = calibration_names(bundle.manifest)
    parts = {name: part for name, part in kept.items() if name not in old} | calibration_parts(answered.data)
    manifest = replace(manifest, calibration=data.info())
    if data.labels is None:
        return parts, manifest, ()
    temperatures = [fit_temperature(logits, data.labels) for logits in data.logits]
    exits = [replace(info, temperature=one) for info, one in zip(manifest.exits, temperatures, strict=True)]
    tuned = _tuned(manifest, calibrated(data.logits, temperatures), data.labels)
    manifest = replace(manifest, exits=tuple(exits), policies={**manifest.policies, **tuned})
    accuracy = (data.logits.argmax(axis=2) == data.labels).mean(axis=1)
    return parts | _golden(bundle, manifest.exits), manifest, tuple(accuracy.tolist())


def _tuned(
    manifest: Manifest, probabilities: NDArray[np.float32], labels: NDArray[np.integer]
) -> dict[str, Thresholds]:
    if _THRESHOLD not in manifest.policies:
        return {}
    return {_THRESHOLD: tune_threshold(probabilities, labels, [info.macs for info in manifest.exits])}


def _golden(bundle: Bundle, exits: Sequence[ExitInfo]) -> dict[str, bytes]:
    """Return the golden parts with the answers that follow from these temperatures."""
    model, temperatures = StagedModel.load(bundle, "cpu"), [info.temperature for info in exits]
    golden, originals = bundle.golden(), bundle.originals()
    assert originals is not None
    answers, encoded = (
        calibrated(model.every_logits(images), temperatures) for images in (golden.images, originals.pixels)
    )
    return {
        **golden_parts(Golden(golden.images, answers, golden.labels)),
        **original_parts(Originals(originals.files, originals.pixels, encoded)),
    }


def _provenance(bundle: Bundle, answered: AnsweredFruit | None) -> dict[str, object]:
    fruit = None if answered is None else asdict(answered.data["fp32"].info())
    return {
        "from": bundle.digest,
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "fruit": fruit,
        "temperatures_before": [info.temperature for info in bundle.manifest.exits],
    }


def _card(card: str, manifest: Manifest, answered: AnsweredFruit | None) -> bytes:
    """Return the model card with what was changed."""
    lines = [f"Default exit policy: {manifest.default_policy}. Default decision rule: {manifest.default_decide}."]
    if answered is not None:
        info = answered.data["fp32"].info()
        graded = "graded" if info.labelled else "not graded"
        fruit = f"{counted(info.images, 'image')} of {counted(info.groups, 'fruit', 'fruit')}, {graded}"
        lines.insert(0, f"The calibration data are fresh: {fruit}. The figures above were measured before.")
    return f"{card.rstrip()}\n\n## Calibrated again\n\n{chr(10).join(lines)}\n".encode(errors="backslashreplace")
