"""The answers of a bundle's stages to images of fruit, in every precision that the bundle has."""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mango_grader.cores import ordered_map
from mango_grader.errors import ImageError, MangoError
from mango_grader.progress import Progress
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.calibration import CalibrationData
from mango_grader.runtime.images.preprocess import ImageSource
from mango_grader.runtime.inference.sessions import StagedModel

_BATCH = 32


@dataclass(frozen=True)
class CalibrationFruit:
    """Images of fruit that a model was not trained on.

    Attributes:
        images: N paths, or other images as `Grader.grade` takes them.
        names: N texts by which images are told apart in messages.
        groups: N names of the fruit, since images of one fruit are not independent of each other.
        labels: N classes, 0..C - 1; None where nobody graded them.
    """

    images: Sequence[ImageSource]
    names: Sequence[str]
    groups: Sequence[str]
    labels: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class AnsweredFruit:
    """What a model answered to calibration fruit.

    Attributes:
        data: by precision; images that have no answer are left out.
        errors: why an image has no answer, by its name.
    """

    data: Mapping[str, CalibrationData]
    errors: Mapping[str, str]


def answer_fruit(bundle: Bundle, fruit: CalibrationFruit, provider: str, progress: Progress) -> AnsweredFruit:
    """Return what all stages answer to fruit, whatever cannot be answered left out.

    Args:
        bundle: of the model.
        fruit: the images.
        provider: "auto", "cpu" or "cuda".
        progress: told how far it is.

    Raises:
        MangoError: if no image has an answer.
    """
    models = {name: StagedModel.load(bundle, provider, name) for name in bundle.manifest.stages}
    logits: dict[str, list[NDArray[np.float32]]] = {name: [] for name in models}
    answered: list[int] = []
    errors: dict[str, str] = {}
    with (
        progress.task("answering calibration fruit", len(fruit.images)) as task,
        contextlib.closing(ordered_map(partial(_decode, bundle), fruit.images)) as decoded,
    ):
        rows = iter(range(len(fruit.images)))
        while batch := list(itertools.islice(rows, _BATCH)):
            pixels: dict[int, NDArray[np.uint8]] = {}
            for row, one in zip(batch, decoded, strict=False):
                if isinstance(one, ImageError):
                    errors[fruit.names[row]] = str(one)
                else:
                    pixels[row] = one
                task.advance()
            if not pixels:
                continue
            stacked = np.stack(list(pixels.values()))
            found = {name: model.every_logits(stacked) for name, model in models.items()}
            finite = np.all([np.isfinite(one).all(axis=(0, 2)) for one in found.values()], axis=0)
            for row, sound in zip(pixels, finite.tolist(), strict=True):
                if sound:
                    answered.append(row)
                else:
                    errors[fruit.names[row]] = "the model gave no finite answer"
            for name, one_logits in found.items():
                logits[name].append(one_logits[:, finite])
    if not answered:
        raise MangoError(f"no image can be answered: {next(iter(errors.values()), 'there is none')}")
    groups = np.unique([fruit.groups[row] for row in answered], return_inverse=True)[1].astype(np.int32)
    labels = None if fruit.labels is None else np.array([fruit.labels[row] for row in answered], np.int32)
    data = {name: CalibrationData(np.concatenate(parts, axis=1), groups, labels) for name, parts in logits.items()}
    return AnsweredFruit(data, errors)


def _decode(bundle: Bundle, image: ImageSource) -> NDArray[np.uint8] | ImageError:
    try:
        return bundle.manifest.preprocess(image)
    except ImageError as error:
        return error
