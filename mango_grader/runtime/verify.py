"""Does a bundle still hold what was written, and does it answer as it did when it was made?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError, MangoError, UsageError
from mango_grader.runtime.bundle import Bundle, Golden
from mango_grader.runtime.manifest import Manifest
from mango_grader.runtime.sessions import StagedModel, make_session, run_session, softmax

# GPU kernels add in another order, and choose it by the device.
TOLERANCE = {"cpu": 1e-4, "cuda": 1e-3}


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, whether it holds, and what was seen."""

    check: str
    ok: bool
    detail: str


def verify_bundle(bundle: Bundle, provider: str = "auto") -> list[Finding]:
    """Check all hashes, then the golden answers of the stages (each precision) and of the full graph.

    Quantised stages answer differently by design: for them the largest deviation is reported, not judged.
    Raises `UsageError` for a provider that cannot be had.
    """
    findings = [_hashes(bundle)]
    if findings[0].ok:
        findings += [_stages(bundle, provider, precision) for precision in bundle.manifest.stages]
        findings.append(_full(bundle, provider))
    return findings


def check_golden(model: StagedModel, bundle: Bundle, precision: str) -> None:
    """Raise `BundleError` unless `model` reproduces the golden answers."""
    finding = _judge(precision, model.every_exit(bundle.golden().images), bundle, model.provider)
    if not finding.ok:
        raise BundleError(f"{bundle.path} does not reproduce its golden answers here: {finding.detail}")


def _hashes(bundle: Bundle) -> Finding:
    damaged = []
    for name in bundle.manifest.hashes:
        try:
            bundle.read(name)
        except BundleError:
            damaged.append(name)
    count = len(bundle.manifest.hashes)
    detail = f"damaged: {', '.join(damaged)}" if damaged else f"{count} parts as written"
    return Finding("hashes", not damaged, detail)


def _stages(bundle: Bundle, provider: str, precision: str) -> Finding:
    check = f"golden answers, {precision} stages"
    try:
        model = StagedModel.load(bundle, provider, precision)
        return _judge(precision, model.every_exit(bundle.golden().images), bundle, model.provider)
    except UsageError:
        raise
    except MangoError as error:
        return Finding(check, False, str(error))


def _full(bundle: Bundle, provider: str) -> Finding:
    check = "golden answers, full graph"
    try:
        session = make_session(bundle.read(bundle.manifest.full), provider)
        golden = bundle.golden()
        answers = full_answers(session, golden, bundle.manifest)
    except UsageError:
        raise
    except MangoError as error:
        return Finding(check, False, str(error))
    on_gpu = session.get_providers()[0].startswith("CUDA")
    return _compare(check, answers, golden, TOLERANCE["cuda" if on_gpu else "cpu"])


def full_answers(session: object, golden: Golden, manifest: Manifest) -> NDArray[np.float32]:
    """Return the calibrated probabilities (K, G, C) that a session on the full graph gives for golden images."""
    logits = run_session(session, {"images": golden.images})
    if len(logits) != len(manifest.exits):
        raise BundleError(f"the full graph has {len(logits)} outputs for {len(manifest.exits)} exits")
    scaled = [one / info.temperature for one, info in zip(logits, manifest.exits, strict=True)]
    return softmax(np.stack(scaled))


def _judge(precision: str, answers: NDArray[np.float32], bundle: Bundle, where: str) -> Finding:
    tolerance = TOLERANCE[where] if precision == "fp32" else np.inf
    return _compare(f"golden answers, {precision} stages", answers, bundle.golden(), tolerance)


def _compare(check: str, answers: NDArray[np.float32], golden: Golden, tolerance: float) -> Finding:
    if answers.shape != golden.probabilities.shape:
        return Finding(check, False, f"answers of shape {answers.shape}, not {golden.probabilities.shape}")
    largest = float(np.abs(answers - golden.probabilities).max(initial=0.0))
    # A NaN passes no comparison, so the test is for agreement.
    agrees = bool(np.isfinite(answers).all()) and largest <= tolerance
    allowed = f", allowed {tolerance:g}" if np.isfinite(tolerance) else ", for information"
    return Finding(check, agrees, f"{len(golden.images)} images, max |Δp| {largest:.2g}{allowed}")
