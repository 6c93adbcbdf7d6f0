"""Graded photos of a folder, in the classes of a model."""

from typing import TYPE_CHECKING

from mango_grader.errors import UsageError
from mango_grader.progress import Progress
from mango_grader.text import listed

if TYPE_CHECKING:
    from mango_grader.runtime.bundle.manifest import Manifest
    from mango_grader.runtime.calibration.fruit import CalibrationFruit


def graded_fruit(
    data: str, group_by: str | None, manifest: "Manifest", model: str, progress: Progress
) -> "CalibrationFruit":
    """Return the graded photos of a folder.

    Args:
        data: the folder.
        group_by: which photos show the same fruit, as `--group-by` says it; None is what the folder itself says.
        manifest: of the model.
        model: its path, for messages.
        progress: told what was read.

    Raises:
        UsageError: the photos have no grades, or grades that the model does not know.
    """
    from mango_grader.datasets.reading import read_dataset
    from mango_grader.runtime.calibration.fruit import CalibrationFruit

    dataset = read_dataset(data, group_by, manifest.ordinal)
    progress.note(dataset.labels_line)
    for finding in dataset.findings:
        progress.note(f"data: {finding}")
    if unknown := sorted(set(dataset.classes) - set(manifest.classes)):
        raise UsageError(f"{data} has classes that {model} does not know: {listed(unknown)}")
    classes = [manifest.classes.index(name) for name in dataset.classes]
    paths = [str(dataset.root / path) for path in dataset.paths]
    return CalibrationFruit(paths, dataset.paths, dataset.groups, [classes[item.label] for item in dataset.items])
