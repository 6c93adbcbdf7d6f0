"""Verifies that a bundle is undamaged, and that it answers as it did when it was made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError, ImageError, MangoError, UsageError
from mango_grader.runtime.bundle.archive import CARD, Bundle
from mango_grader.runtime.bundle.golden import Originals
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.heat_map import HeatMaps
from mango_grader.runtime.inference.sessions import FullModel, StagedModel

# GPU kernels add in another order, and choose it by the device.
TOLERANCE = {"cpu": 1e-4, "cuda": 1e-3}
# Image libraries decode and resize a little differently from version to version.
PIXEL_TOLERANCE = 2
"""Grey levels by which the pixels of an encoded original may differ from those when the model was made."""
ORIGINAL_TOLERANCE = 0.02
"""Difference in any probability that follows from it at most."""
_ORIGINALS = "encoded originals"
_TOGETHER = 8  # images


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was checked.
        ok: whether it holds.
        detail: what was found.
    """

    check: str
    ok: bool
    detail: str


def verify_bundle(bundle: Bundle, provider: str = "auto") -> list[Finding]:
    """Check all hashes, then the golden answers of the stages in each precision and of the full graph.

    The encoded originals also show whether image files are decoded and resized here as they were then. Quantised stages
    answer differently by design; their largest deviation is reported and never counts as a failure.

    Args:
        bundle: of the model.
        provider: "auto", "cpu" or "cuda".

    Raises:
        UsageError: if the provider is not available.
    """
    findings = [_hashes(bundle)]
    if findings[0].ok:
        findings += [_stages(bundle, provider, precision) for precision in bundle.manifest.stages]
        findings += [_full(bundle, provider), _originals(bundle, provider)]
        findings += [_heat(bundle, provider)] if bundle.manifest.heat else []
    return findings


def check_golden(model: StagedModel, bundle: Bundle) -> None:
    """Raise `BundleError` unless a model reproduces its golden answers, and those to image files if it has them.

    Args:
        model: that was loaded from the bundle.
        bundle: of the model.
    """
    try:
        findings = _judge(model, bundle), _judge_originals(model, bundle)
    except BundleError:
        raise
    except MangoError as error:
        raise BundleError(f"{bundle.path} does not run here: {error}") from error
    for finding in findings:
        if not finding.ok:
            raise BundleError(f"{bundle.path} does not reproduce its {finding.check} here: {finding.detail}")


def _hashes(bundle: Bundle) -> Finding:
    damaged = []
    for name in bundle.manifest.hashes:
        try:
            _ = bundle.card if name == CARD else bundle.read(name)
        except BundleError:
            damaged.append(name)
    count = len(bundle.manifest.hashes)
    detail = f"damaged: {', '.join(damaged)}" if damaged else f"{count} parts as written"
    return Finding("hashes", not damaged, detail)


def _stages(bundle: Bundle, provider: str, precision: str) -> Finding:
    try:
        return _judge(StagedModel.load(bundle, provider, precision), bundle)
    except UsageError:
        raise
    except MangoError as error:
        return Finding(f"golden answers, {precision} stages", False, str(error))


def _full(bundle: Bundle, provider: str) -> Finding:
    check = "golden answers, full graph"
    try:
        model, golden = FullModel(bundle, provider), bundle.golden()
        return _compare(check, _answers(model, golden.images), golden.probabilities, TOLERANCE[model.provider])
    except UsageError:
        raise
    except MangoError as error:
        return Finding(check, False, str(error))


def _originals(bundle: Bundle, provider: str) -> Finding:
    try:
        return _judge_originals(StagedModel.load(bundle, provider), bundle)
    except UsageError:
        raise
    except MangoError as error:
        return Finding(_ORIGINALS, False, str(error))


def _heat(bundle: Bundle, provider: str) -> Finding:
    check = "heat maps"
    try:
        for precision in bundle.manifest.stages:
            HeatMaps.load(bundle, StagedModel.load(bundle, provider, precision))
    except UsageError:
        raise
    except MangoError as error:
        return Finding(check, False, str(error))
    return Finding(check, True, f"those of {len(bundle.manifest.heat)} exits sum up to their answers")


def _judge(model: StagedModel, bundle: Bundle) -> Finding:
    golden = bundle.golden()
    tolerance = TOLERANCE[model.provider] if model.precision == "fp32" else np.inf
    answers = _answers(model, golden.images)
    return _compare(f"golden answers, {model.precision} stages", answers, golden.probabilities, tolerance)


def _judge_originals(model: StagedModel, bundle: Bundle) -> Finding:
    originals = bundle.originals()
    if originals is None:
        return Finding(_ORIGINALS, True, f"not checked: the model lacks {bundle.manifest.lacks[0]}")
    pixels = _prepared(originals, bundle.manifest.preprocess)
    if isinstance(pixels, Finding):
        return pixels
    tolerance = ORIGINAL_TOLERANCE if model.precision == "fp32" else np.inf
    return _compare(_ORIGINALS, model.every_exit(pixels), originals.probabilities, tolerance)


def _answers(model: StagedModel | FullModel, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities (K, N, C) of all exits, a few images at a time: a bundle may hold any number."""
    starts = range(0, len(images), _TOGETHER)
    return np.concatenate([model.every_exit(images[start : start + _TOGETHER]) for start in starts], axis=1)


def _prepared(originals: Originals, preprocess: Preprocess) -> NDArray[np.uint8] | Finding:
    """Return the originals as they are preprocessed here, or a finding that tells what is wrong."""
    found = []
    for (name, data), stored in zip(originals.files.items(), originals.pixels, strict=True):
        try:
            pixels = preprocess(data)
        except ImageError as error:
            return Finding(_ORIGINALS, False, f"{name} cannot be decoded here: {error}")
        largest = int(np.abs(pixels.astype(np.int16) - stored).max())
        if largest > PIXEL_TOLERANCE:
            return Finding(
                _ORIGINALS,
                False,
                f"{name} is decoded and resized differently than when the model was made, by up to {largest} grey "
                f"levels, allowed {PIXEL_TOLERANCE}; install another version of Pillow",
            )
        found.append(pixels)
    return np.stack(found)


def _compare(check: str, answers: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float) -> Finding:
    largest = float(np.abs(answers - expected).max())
    # A NaN passes no comparison, so the test is for agreement.
    agrees = bool(np.isfinite(answers).all()) and largest <= tolerance
    allowed = f", allowed {tolerance:g}" if np.isfinite(tolerance) else ", for information"
    return Finding(check, agrees, f"{answers.shape[1]} images, max |Δp| {largest:.2g}{allowed}")
