"""The answers of a model to fruit that it was not trained on, as parts of its bundle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError
from mango_grader.runtime.bundle.arrays import to_npy
from mango_grader.runtime.bundle.manifest import CalibrationInfo, Manifest

CALIBRATION_GROUPS = "calibration/groups.npy"
CALIBRATION_LABELS = "calibration/labels.npy"


def calibration_logits(precision: str) -> str:
    """Return the name of the part that holds the logits of one precision."""
    return f"calibration/{precision}/logits.npy"


def calibration_names(manifest: Manifest) -> set[str]:
    """Return the names of all parts that hold calibration data; none where the bundle keeps none."""
    info = manifest.calibration
    if info is None:
        return set()
    labels = {CALIBRATION_LABELS} if info.labelled else set()
    return {CALIBRATION_GROUPS, *labels, *map(calibration_logits, manifest.stages)}


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """A model's answers in one precision, from which exit policies and decision rules are chosen.

    Attributes:
        logits: (K, N, C) float32 of every exit, before the temperature.
        groups: (N,) int32, the fruit of each image, numbered from 0; its images are not independent of each other.
        labels: (N,) int32, the class of each image, 0..C - 1; None where nobody graded them.
    """

    logits: NDArray[np.float32]
    groups: NDArray[np.int32]
    labels: NDArray[np.int32] | None = None

    def info(self, *, retrained: bool = False) -> CalibrationInfo:
        """Return the description of these data.

        Args:
            retrained: whether the network has been trained on the images since it gave these answers.
        """
        fruit = len(np.unique(self.groups))
        return CalibrationInfo(self.logits.shape[1], fruit, self.labels is not None, retrained)

    def check(self, manifest: Manifest) -> None:
        """Raise `BundleError` unless all shapes and values fit a manifest."""
        info = manifest.calibration
        if info is None or self.logits.shape != (len(manifest.exits), info.images, len(manifest.classes)):
            raise BundleError("its calibration logits do not fit its manifest")
        if not np.isfinite(self.logits).all():
            raise BundleError("its calibration logits are not all finite")
        columns = [self.groups] if self.labels is None else [self.groups, self.labels]
        if any(column.shape != (info.images,) or column.min() < 0 for column in columns):
            raise BundleError("its calibration groups or labels do not fit its manifest")
        if len(np.unique(self.groups)) != info.groups or (self.labels is not None) != info.labelled:
            raise BundleError("its calibration data are not those that its manifest describes")
        if self.labels is not None and self.labels.max() >= len(manifest.classes):
            raise BundleError("its calibration labels name classes that it does not have")


def calibration_parts(by_precision: Mapping[str, CalibrationData]) -> dict[str, bytes]:
    """Return the parts of a bundle that hold calibration data.

    Args:
        by_precision: data by precision, all of the same images.
    """
    data = next(iter(by_precision.values()))
    labels = {} if data.labels is None else {CALIBRATION_LABELS: to_npy(data.labels.astype(np.int32, copy=False))}
    logits = {
        calibration_logits(name): to_npy(np.ascontiguousarray(one.logits, np.float32))
        for name, one in by_precision.items()
    }
    return {**logits, **labels, CALIBRATION_GROUPS: to_npy(data.groups.astype(np.int32, copy=False))}
