"""Pairs of images that show the same fruit, as plain data, and their file in the user's cache."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mango_grader.files import write_bytes

__all__ = ["FruitMatches", "load_matches", "save_matches"]


@dataclass(frozen=True, eq=False)
class FruitMatches:
    """Pairs of images that show the same fruit.

    Attributes:
        pairs: int64 (P, 2), image indices, ascending in each pair and from pair to pair.
        inliers: int64 (P,), how many local features of each pair agree.
        points: float32 (sum of inliers, 4), the places of these features, pair after pair: x and y in the first image,
            x and y in the second, as shares of the image's longer side.
    """

    pairs: NDArray[np.int64]
    inliers: NDArray[np.int64]
    points: NDArray[np.float32]

    @classmethod
    def none(cls) -> "FruitMatches":
        """Return no pair at all."""
        return cls(np.empty((0, 2), np.int64), np.empty(0, np.int64), np.empty((0, 4), np.float32))

    def __len__(self) -> int:
        return len(self.pairs)

    def points_of(self, pair: int) -> NDArray[np.float32]:
        """Return the points of one pair, float32 (K, 4).

        Args:
            pair: its row in `pairs`.
        """
        end = int(self.inliers[: pair + 1].sum())
        return self.points[end - int(self.inliers[pair]) : end]

    def only(self, kept: NDArray[np.bool_]) -> "FruitMatches":
        """Return some of the pairs.

        Args:
            kept: bool (P,), which.
        """
        return FruitMatches(self.pairs[kept], self.inliers[kept], self.points[np.repeat(kept, self.inliers)])

    def renumbered(self, index: NDArray[np.int64]) -> "FruitMatches":
        """Return the same pairs with other image indices.

        Args:
            index: int64, the new index of each image.
        """
        pairs = index[self.pairs]
        turned = pairs[:, 0] > pairs[:, 1]
        points = np.where(np.repeat(turned, self.inliers)[:, None], self.points[:, [2, 3, 0, 1]], self.points)
        pairs = np.sort(pairs, axis=1)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        starts = np.cumsum(self.inliers) - self.inliers
        rows = [np.arange(starts[pair], starts[pair] + self.inliers[pair]) for pair in order]
        return FruitMatches(pairs[order], self.inliers[order], points[np.concatenate([np.empty(0, np.int64), *rows])])


def save_matches(path: Path, matches: FruitMatches) -> None:
    """Write a file that `load_matches` reads, whole or not at all.

    Args:
        path: of the file.
        matches: what to write.
    """
    buffer = io.BytesIO()
    np.savez(buffer, pairs=matches.pairs, inliers=matches.inliers, points=matches.points)
    write_bytes(path, buffer.getvalue())


def load_matches(path: Path) -> FruitMatches | None:
    """Return what `save_matches` wrote; None if there is no such file, or it is damaged.

    Args:
        path: of the file.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            found = FruitMatches(file["pairs"], file["inliers"], file["points"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = found.pairs.shape == (len(found.inliers), 2) and found.points.shape == (found.inliers.sum(), 4)
    return found if whole else None
