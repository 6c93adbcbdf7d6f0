"""Reading a folder of labelled images: its files, labels, groups; no image is opened."""

import os
from dataclasses import replace
from pathlib import Path

from mango_grader.datasets.dataset import Dataset, Item
from mango_grader.datasets.reading.files import list_files
from mango_grader.datasets.reading.groups import grouping_by, read_groups, table_of_groups
from mango_grader.datasets.reading.labels import name_clashes, order_classes, read_labels
from mango_grader.datasets.reading.reviews import read_review
from mango_grader.text import one_line

__all__ = ["read_dataset"]


def read_dataset(
    root: str | os.PathLike[str],
    group_by: str | None = None,
    ordinal: bool | None = None,
    labels: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read class folders, class folders under train/ val/ test/, or a label CSV beside an image folder.

    No image is opened.

    Args:
        root: the data folder, or its label CSV.
        group_by: which images belong together: COLUMN of the label CSV, FILE.csv:COLUMN of another CSV in the folder,
            re:PATTERN on file names (its first group, or the whole match), or "none", by which each image is a group of
            its own. By None, too, but then splits and inspections look for images of the same fruit.
        ordinal: whether the classes are grades in order. None decides by their names: A, B, C and numbers are.
        labels: CSV of reviewed labels, which correct those of the folder; None for none.

    Returns:
        The images in the order of their paths, and what is odd about the folder as findings.

    Raises:
        UsageError: nothing there can be read as labelled images, `group_by` names nothing, or the reviewed labels are
            not of these images.

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
    found = read_labels(files, table, table_of_groups(group_by))
    samples = sorted(found.samples, key=lambda sample: sample.path)
    classes, ordered = order_classes({sample.label for sample in samples}, ordinal)
    groups, group_findings = read_groups(files, [sample.path for sample in samples], found.rows, group_by)
    index = {name: number for number, name in enumerate(classes)}
    dataset = Dataset(
        root=folder,
        classes=classes,
        items=tuple(
            Item(sample.path, index[sample.label], group, sample.part)
            for sample, group in zip(samples, groups, strict=True)
        ),
        ordinal=ordered,
        findings=tuple(map(one_line, (*files.findings, *found.findings, *name_clashes(classes), *group_findings))),
        labels_from=found.source,
        grouping=grouping_by(group_by),
    )
    if dataset.nested:
        dataset = replace(dataset, findings=(*dataset.findings, one_line(dataset.nested)))
    return dataset if labels is None else read_review(labels).apply(dataset)
