"""Reading a folder of labelled images: its files, labels, groups; no image is opened."""

import os
from dataclasses import replace
from pathlib import Path

from mango_grader.datasets.dataset import Dataset, Item
from mango_grader.datasets.reading.files import list_files
from mango_grader.datasets.reading.groups import read_groups, table_of_groups
from mango_grader.datasets.reading.labels import name_clashes, order_classes, read_labels
from mango_grader.text import one_line

__all__ = ["read_dataset"]


def read_dataset(root: str | os.PathLike[str], group_by: str | None = None, ordinal: bool | None = None) -> Dataset:
    """Read class folders, class folders under train/ val/ test/, or a label CSV beside an image folder.

    No image is opened.

    Args:
        root: the data folder, or its label CSV.
        group_by: which images belong together: COLUMN of the label CSV, FILE.csv:COLUMN of another CSV in the folder,
            or re:PATTERN on file names (its first group, or the whole match). None makes each image its own group.
        ordinal: whether the classes are grades in order. None decides by their names: A, B, C and numbers are.

    Returns:
        The images in the order of their paths, and what is odd about the folder as findings.

    Raises:
        UsageError: nothing there can be read as labelled images, or `group_by` names nothing.

    Example:
        ```python
        from mango_grader import read_dataset

        dataset = read_dataset("mangos", group_by="groups.csv:fruit")
        print(dataset.labels_line)  # labels: folders, 3 classes
        print(dataset.items[0].path, dataset.classes[dataset.items[0].label])
        ```
    """
    path = Path(root)
    table = path if path.is_file() else None
    folder = path.parent if table else path
    files = list_files(folder)
    labels = read_labels(files, table, table_of_groups(group_by))
    samples = sorted(labels.samples, key=lambda sample: sample.path)
    classes, ordered = order_classes({sample.label for sample in samples}, ordinal)
    groups, group_findings = read_groups(files, [sample.path for sample in samples], labels.rows, group_by)
    index = {name: number for number, name in enumerate(classes)}
    dataset = Dataset(
        root=folder,
        classes=classes,
        items=tuple(
            Item(sample.path, index[sample.label], group, sample.part)
            for sample, group in zip(samples, groups, strict=True)
        ),
        ordinal=ordered,
        findings=tuple(map(one_line, (*files.findings, *labels.findings, *name_clashes(classes), *group_findings))),
        labels_from=labels.source,
    )
    return replace(dataset, findings=(*dataset.findings, one_line(dataset.nested))) if dataset.nested else dataset
