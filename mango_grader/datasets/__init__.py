"""Labelled images: reading, inspecting, splitting, packing and augmenting them.

Reading a folder needs no more than the base install; modules that need more (albumentations, scikit-learn, jinja2) are
imported by name.
"""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.datasets.augmentation import Augment, Augmenter
    from mango_grader.datasets.cache import PackedImages, pack
    from mango_grader.datasets.dataset import Dataset, Item
    from mango_grader.datasets.reading import read_dataset
    from mango_grader.datasets.splits import Shares, Split, make_split, parse_fold

__all__ = [
    "Augment",
    "Augmenter",
    "Dataset",
    "Item",
    "PackedImages",
    "Shares",
    "Split",
    "make_split",
    "pack",
    "parse_fold",
    "read_dataset",
]

__getattr__ = lazy_names(
    __name__,
    {
        "augmentation": ("Augment", "Augmenter"),
        "cache": ("PackedImages", "pack"),
        "dataset": ("Dataset", "Item"),
        "reading": ("read_dataset",),
        "splits": ("Shares", "Split", "make_split", "parse_fold"),
    },
)
