"""Labelled images: reading, inspecting, splitting, packing and augmenting them.

Only numpy is imported here; modules that need more (albumentations, scikit-learn, jinja2) are imported by name.
"""

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
