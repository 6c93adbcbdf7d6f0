"""Which precision to use on this host: int8 only where it was measured to be faster and to answer nearly the same."""

from dataclasses import dataclass

import numpy as np

from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.inference.host_profile import HostProfile, StageLatency

MOST_FLIPS = 0.005
"""Share of the calibration images whose grade int8 may change, at any exit."""
LEAST_GAIN = 0.05
"""Share of the time of fp32 that int8 has to save; less is within what one measurement differs from the next."""


@dataclass(frozen=True)
class PrecisionChoice:
    """What `precision="auto"` takes on this host.

    Attributes:
        precision: "fp32" or "int8", for all stages.
        reason: why, in words.
    """

    precision: str
    reason: str

    def __str__(self) -> str:
        return f"{self.precision}: {self.reason}"


def choose_precision(bundle: Bundle, provider: str = "auto") -> PrecisionChoice:
    """Return the precision that is faster here and answers as the model should, and why.

    int8 is taken where `mango-grader bench` found it to be at least 5 % faster on this host, and where it changes the
    grades of at most 0.5 % of the calibration images at every exit; otherwise fp32.

    Args:
        bundle: of the model.
        provider: "cpu" or "cuda"; "auto" is the one that `bench` used.

    Raises:
        BundleError: if the calibration data are damaged.
    """
    if "int8" not in bundle.manifest.stages:
        return PrecisionChoice("fp32", "the model has no int8 stages")
    before, after = (_measured(bundle, precision, provider) for precision in ("fp32", "int8"))
    if before is None or after is None:
        return PrecisionChoice("fp32", f"not measured here yet; run mango-grader bench --model {bundle.path}")
    slow, fast = before.whole()["p50"], after.whole()["p50"]
    times = f"{fast:.3g} ms an image against {slow:.3g} ms in fp32"
    if fast > slow * (1 - LEAST_GAIN):
        return PrecisionChoice("fp32", f"int8 is {'slower' if fast > slow else 'hardly faster'} here ({times})")
    flips = grade_flips(bundle)
    if flips is None:
        lacks = "but the model keeps no calibration data by which grades could be compared"
        return PrecisionChoice("fp32", f"int8 is faster here ({times}), {lacks}")
    changes = f"changes {max(flips):.1%} of the grades at exit {int(np.argmax(flips)) + 1}"
    if max(flips) > MOST_FLIPS:
        return PrecisionChoice("fp32", f"int8 is faster here ({times}), but {changes}, allowed {MOST_FLIPS:.1%}")
    return PrecisionChoice("int8", f"{times}; it {changes}, allowed {MOST_FLIPS:.1%}")


def grade_flips(bundle: Bundle) -> list[float] | None:
    """Return the share of calibration images, 0..1, whose grade int8 changes at each exit; None without such data.

    Args:
        bundle: of a model with int8 stages.
    """
    before, after = (bundle.calibration(precision) for precision in ("fp32", "int8"))
    if before is None or after is None:
        return None
    shares: list[float] = (before.logits.argmax(axis=2) != after.logits.argmax(axis=2)).mean(axis=1).tolist()
    return shares


def _measured(bundle: Bundle, precision: str, provider: str) -> StageLatency | None:
    profile = HostProfile.read(bundle)
    if profile is None:
        return None
    return profile.find(precision, provider=profile.latency[0].provider if provider == "auto" else provider)
