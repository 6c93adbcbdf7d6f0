"""The shortcut probe: how well the class is predicted from the image border alone, without the fruit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.splits import assign_groups
from mango_grader.errors import UsageError

if TYPE_CHECKING:
    from mango_grader.datasets.scan import Scan

__all__ = ["PROBED", "ProbeResult", "border_features", "border_probe", "drawn", "probe_dataset"]

PROBED = 20_000
"""Of more images than this, so many are drawn at random for the probe, which compares each with all others."""

_TILES = 16
_FOLDS = 5
_NEIGHBOURS = 5
_MIN_GROUPS = 10  # With fewer, the accuracy says too little.


@dataclass(frozen=True)
class ProbeResult:
    """What the shortcut probe found.

    Attributes:
        accuracy: share of images whose class the border predicts, 0..1.
        majority: share of images of the most common class, 0..1.
        groups: number of groups tested.
        images: number of images tested, where they were drawn from more; None where it is all.
    """

    accuracy: float
    majority: float
    groups: int
    images: int | None = None

    @property
    def margin(self) -> float:
        """How far the border beats always naming the most common class, -1..1."""
        return self.accuracy - self.majority

    @property
    def error(self) -> float:
        """Half the 95 % interval of `accuracy`, groups counted as the independent units."""
        return 1.96 * sqrt(self.accuracy * (1 - self.accuracy) / max(1, self.groups))

    @property
    def suspicious(self) -> bool:
        """Whether the margin is above 5 points and above its own uncertainty."""
        return self.margin > max(0.05, self.error)


def drawn(count: int, seed: int) -> NDArray[np.int64]:
    """Return which images to probe, ascending: all of them, or `PROBED` that are drawn at random.

    Args:
        count: number of images.
        seed: of the draw.
    """
    if count <= PROBED:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, PROBED, replace=False))


def probe_dataset(dataset: Dataset, facts: "Scan", groups: Sequence[str], seed: int = 0) -> ProbeResult | None:
    """Probe the readable images of a data set, before any letterbox.

    Args:
        dataset: N images.
        facts: its scan, N rows.
        groups: N group names, near-duplicates merged.
        seed: random seed of the folds.

    Returns:
        None where there are too few groups or classes.
    """
    readable = np.flatnonzero(facts.readable)
    rows = readable[drawn(len(readable), seed)]
    kept = [groups[int(row)] for row in rows]
    if len(set(kept)) < _MIN_GROUPS or len(np.unique(dataset.labels[rows])) < 2:
        return None
    found = border_probe(facts.thumbs[rows], dataset.labels[rows], kept, seed)
    return found if len(rows) == len(readable) else replace(found, images=len(rows))


def border_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean colours of the 60 outermost tiles of a 16 × 16 grid, float32 (N, 180), 0..255.

    Args:
        images: uint8 (N, H, W, 3), H and W 16 or more.
    """
    height, width = images.shape[1:3]
    if min(height, width) < _TILES:
        raise UsageError(f"the border probe needs images of at least {_TILES} pixels a side, not {height}×{width}")
    rows, columns = np.arange(_TILES) * height // _TILES, np.arange(_TILES) * width // _TILES
    edge = np.ones((_TILES, _TILES), bool)
    edge[1:-1, 1:-1] = False
    high = np.diff([*rows, height])[:, None, None]
    wide = np.diff([*columns, width])[None, :, None]
    features = np.empty((len(images), int(edge.sum()), 3), np.float32)
    for index, image in enumerate(images):
        sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0, dtype=np.float64), columns, axis=1)
        features[index] = (sums / (high * wide))[edge]
    return features.reshape(len(images), -1)


def border_probe(
    images: NDArray[np.uint8], labels: NDArray[np.int64], groups: Sequence[str], seed: int = 0
) -> ProbeResult:
    """Cross-validate a 5-nearest-neighbour classifier on the borders of images, in 5 folds by group.

    Args:
        images: uint8 (N, H, W, 3). They should fill their frame: a letterbox would be all that the probe sees.
        labels: int64 (N,), class indices.
        groups: N group names.
        seed: random seed of the folds, 0 or more.

    Raises:
        UsageError: there are fewer than 2 groups, or images are below 16 pixels a side.

    Example:
        >>> import numpy as np
        >>> labels = np.arange(40) % 2
        >>> images = np.full((40, 32, 32, 3), 100, np.uint8) + (50 * labels).astype(np.uint8)[:, None, None, None]
        >>> border_probe(images, labels, [str(number) for number in range(40)]).accuracy
        1.0
    """
    from sklearn.neighbors import KNeighborsClassifier

    count = len(set(groups))
    if count < 2:
        raise UsageError(f"the border probe needs at least 2 groups of images, not {count}")
    features = border_features(images)
    folds = assign_groups(labels, groups, [1.0] * min(_FOLDS, count), (seed,))
    correct = np.zeros(len(labels), bool)
    for fold in range(int(folds.max()) + 1):
        test = folds == fold
        if not test.any():
            continue
        neighbours = KNeighborsClassifier(min(_NEIGHBOURS, int((~test).sum())), algorithm="brute")
        correct[test] = neighbours.fit(features[~test], labels[~test]).predict(features[test]) == labels[test]
    return ProbeResult(float(correct.mean()), float(np.bincount(labels).max() / len(labels)), count)
