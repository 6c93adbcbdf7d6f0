"""Where in an image the evidence for its grade lies: the map of the exit that answered, without torch."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError, UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.inference.sessions import StagedModel, run_session, softmax, start_graph

MAPS = "maps"
_LARGEST_CELLS = 1 << 20
_CHECKED = 16  # golden images
_TOLERANCE = 1e-4  # in probability, between an exit's answer and the mean of its maps


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Where in an image the evidence for its grade lies.

    Attributes:
        values: (h, w) float32, evidence for the grade against the mean of the other grades at each place of the image
            as the network takes it, in logits. Their mean is what the exit answered: the logit of the grade less the
            mean of the others.
        grade: name of the grade.
        exit: number of the exit that answered, from 1.
    """

    values: NDArray[np.float32]
    grade: str
    exit: int

    @property
    def peak(self) -> tuple[float, float]:
        """Place of the largest value, (x, y), each in 0..1 from the left and the top of the network's image."""
        height, width = self.values.shape
        row, column = np.unravel_index(int(self.values.argmax()), self.values.shape)
        return (float(column) + 0.5) / width, (float(row) + 0.5) / height


class HeatMaps:
    """Makes heat maps of images, by the class maps of a model's exits; safe to use from several threads at once.

    Args:
        model: that answers the images.
        sessions: one per exit: the name of the stage's output that it reads, and the session of its graph.
        classes: names of the C classes.
    """

    def __init__(self, model: StagedModel, sessions: tuple[tuple[str, Any], ...], classes: tuple[str, ...]) -> None:
        self._model, self._sessions, self._classes = model, sessions, classes

    @classmethod
    def load(cls, bundle: Bundle, model: StagedModel) -> Self:
        """Start the graphs of the class maps, and check with the golden images that their means are the exits' answers.

        Args:
            bundle: of the model.
            model: loaded from the bundle, in any precision.

        Raises:
            UsageError: if the bundle has no class maps.
            BundleError: if the graphs do not fit the model, or give other answers.
        """
        manifest = bundle.manifest
        if not manifest.heat:
            raise UsageError(f"{bundle.path} has no heat maps: {_why_none(manifest.schema)}")
        sessions = []
        for number, name in enumerate(manifest.heat, start=1):
            session, inputs, outputs = start_graph(bundle, name, model.provider)
            given = model.output(number, inputs[0].name) if len(inputs) == 1 else None
            if given is None or not inputs[0].takes(given) or len(given.shape) != 4:
                raise BundleError(f"{bundle.path}: {name} does not take an output of its stage")
            cells = [size if size is not None else 0 for size in inputs[0].shape[2:]]
            wanted = None, len(manifest.classes), *cells
            small = 0 < cells[0] * cells[1] <= _LARGEST_CELLS
            if not small or [(port.name, port.kind, port.shape) for port in outputs] != [(MAPS, given.kind, wanted)]:
                raise BundleError(f"{bundle.path}: {name} does not give one map for each class")
            sessions.append((given.name, session))
        found = cls(model, tuple(sessions), manifest.classes)
        found._check(bundle)
        return found

    def class_maps(self, images: NDArray[np.uint8], number: int) -> NDArray[np.float32]:
        """Return the maps (N, C, h, w) of all classes at one exit, whose means over h and w are its logits.

        Args:
            images: (N, H, W, 3) uint8 RGB, preprocessed.
            number: of the exit, from 1.
        """
        name, session = self._sessions[number - 1]
        features = self._model.tensor(images, number, name)
        maps = np.asarray(run_session(session, {name: features}, [MAPS])[0], np.float32)
        if maps.shape != (len(images), len(self._classes), *features.shape[2:]):
            raise BundleError(f"a heat graph of the model answers {len(images)} images with values {maps.shape}")
        return maps

    def heat_map(self, pixels: NDArray[np.uint8], grade: str, number: int) -> HeatMap:
        """Return the heat map of one image.

        Args:
            pixels: (H, W, 3) uint8 RGB, preprocessed.
            grade: that was answered.
            number: of the exit that answered, from 1.
        """
        maps = self.class_maps(pixels[None], number)[0]
        return HeatMap(contrast(maps, self._classes.index(grade)), grade, number)

    def _check(self, bundle: Bundle) -> None:
        images = bundle.golden().images[:_CHECKED]
        answers = self._model.every_exit(images)
        for number, (info, wanted) in enumerate(zip(bundle.manifest.exits, answers, strict=True), start=1):
            found = softmax(self.class_maps(images, number).mean(axis=(2, 3)), info.temperature)
            if not np.abs(found - wanted).max() <= _TOLERANCE:  # A NaN passes no comparison.
                raise BundleError(f"{bundle.path}: the heat maps of exit {number} are not those of its answers")


def contrast(maps: NDArray[np.float32], answer: int) -> NDArray[np.float32]:
    """Return the evidence (h, w) for one class against the mean of the others.

    Args:
        maps: (C, h, w), of all classes.
        answer: index of the class.
    """
    others = np.delete(maps, answer, axis=0).mean(axis=0)
    return np.asarray(maps[answer] - others, np.float32)


def _why_none(schema: int) -> str:
    if schema < 3:
        return "an earlier version wrote it; export its run again with mango-grader export RUN --out FILE"
    return "its network does not classify the mean over positions; train another, or leave --explain away"
