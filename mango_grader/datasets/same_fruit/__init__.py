"""Finding images of the same fruit, from another side or distance, by their local features.

The steps are a module each: `features` of every image; without those of the `background`; `candidates`, the pairs
that are worth a comparison; `matching` of each pair. Nothing is drawn at random but by generators with a fixed seed.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.datasets.dataset import Dataset
from mango_grader.datasets.duplicates import clusters
from mango_grader.datasets.same_fruit.background import without_common, without_fixed
from mango_grader.datasets.same_fruit.candidates import candidate_pairs
from mango_grader.datasets.same_fruit.features import SIDE, Features, find_features
from mango_grader.datasets.same_fruit.matches import FruitMatches, load_matches, save_matches
from mango_grader.datasets.same_fruit.matching import ENOUGH, agreeing, find_matches
from mango_grader.datasets.scan import Scan
from mango_grader.files import digest, user_cache
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime.images.formats import readers
from mango_grader.text import counted

__all__ = ["MOST_IMAGES", "FoundFruit", "FruitMatches", "find_same_fruit"]

MOST_IMAGES = 20_000
"""Nobody looks for photos of the same fruit among more images than this, which take some 2 GB and 10 minutes of two
cores: features of all of them are held in memory, and each image is compared with every other."""

_In = TypeVar("_In")
_Out = TypeVar("_Out")

# A set of more than this share of the images is one of a background that was not recognised, and forms no group, if it
# has more than so many images: of a small set, one fruit's photos may be a large share.
_LARGEST, _FEW = 0.05, 12

_FORMAT = 2  # Counts up whenever the same files may give other pairs.


@dataclass(frozen=True, eq=False)
class FoundFruit:
    """Which images show the same fruit.

    Attributes:
        matches: the pairs by which images form groups.
        too_large: sets of items that are too many to be one fruit; they form no group.
        skipped: why nobody looked; None where somebody did.
    """

    matches: FruitMatches
    too_large: tuple[tuple[int, ...], ...] = ()
    skipped: str | None = None


def find_same_fruit(dataset: Dataset, facts: Scan, progress: Progress | None = None) -> FoundFruit:
    """Return which images show the same fruit; the same files always give the same answer.

    Among more than `MOST_IMAGES` different files, nobody looks: say with `--group-by` what belongs together.
    Pairs are kept in the user's cache under a name that is made of all files' digests, so that a second call is quick.
    Copies of one file count once: `near_duplicates` connects them.

    Args:
        dataset: N images on disk.
        facts: its scan, N rows.
        progress: shows how far it is.

    Example:
        ```python
        from mango_grader import read_dataset
        from mango_grader.datasets.same_fruit import find_same_fruit
        from mango_grader.datasets.scan import scan

        dataset = read_dataset("mangos")
        found = find_same_fruit(dataset, scan(dataset))
        for first, second in found.matches.pairs:
            print(dataset.paths[first], dataset.paths[second])
        ```
    """
    first_of = {facts.digests[item]: item for item in reversed(np.flatnonzero(facts.readable).tolist())}
    if len(first_of) > MOST_IMAGES:
        images = f"{counted(len(first_of), 'image')} are more than {MOST_IMAGES:,}"
        return FoundFruit(FruitMatches.none(), skipped=f"photos of the same fruit were not looked for: {images}")
    digests = sorted(first_of)  # so that neither names nor order of the files matter
    items = np.array([first_of[name] for name in digests], np.int64)
    key = digest(json.dumps([_FORMAT, readers(), cv2.__version__, digests]).encode())
    kept = user_cache() / f"same-fruit-{key[:24]}.npz"
    matches = load_matches(kept)
    if matches is None:
        matches = _find([dataset.root / dataset.items[item].path for item in items], progress or SilentProgress())
        with suppress(OSError):  # The next call then finds them anew.
            save_matches(kept, matches)
    return _limited(matches.renumbered(items), len(items))


def _find(paths: Sequence[Path], progress: Progress) -> FruitMatches:
    images = _mapped("finding features", find_features, paths, progress)
    pairs = candidate_pairs(images)

    def matched(pair: NDArray[np.int64]) -> NDArray[np.int64]:
        return find_matches(images[pair[0]], images[pair[1]])

    matches = _mapped("comparing fruit", matched, list(pairs), progress)
    matches = without_fixed(images, pairs, matches)
    matches = [agreeing(images[one], images[two], found) for (one, two), found in zip(pairs, matches, strict=True)]
    matches = without_common(images, pairs, matches)
    inliers = np.array([len(found) for found in matches], np.int64)
    same = inliers >= ENOUGH
    points = [_points(images[one], images[two], matches[row]) for row, (one, two) in enumerate(pairs) if same[row]]
    return FruitMatches(pairs[same], inliers[same], np.concatenate([np.empty((0, 4), np.float32), *points]))


def _points(one: Features, two: Features, matches: NDArray[np.int64]) -> NDArray[np.float32]:
    places = np.concatenate([one.places[matches[:, 0]], two.places[matches[:, 1]]], axis=1)
    return np.asarray(places / SIDE, np.float32)


def _mapped(name: str, function: Callable[[_In], _Out], items: Sequence[_In], progress: Progress) -> list[_Out]:
    found: list[_Out] = []
    with progress.task(name, len(items)) as task:
        for one in ordered_map(function, items, ahead=64):
            found.append(one)
            task.advance()
    return found


def _limited(matches: FruitMatches, count: int) -> FoundFruit:
    most = max(_LARGEST * count, _FEW)
    too_large = tuple(found for found in clusters(matches.pairs) if len(found) > most)
    inside = np.isin(matches.pairs[:, 0], [item for found in too_large for item in found])
    return FoundFruit(matches.only(~inside), too_large)
