"""Augmentation: what to change at random (`Augment`), and what carries it out on arrays or on tensors.

Only numpy is imported here; `albumentations` (CPUs) and `torch_augment` (GPUs) are imported by name.
"""

from mango_grader.datasets.augmentation.augment import Augment, Augmenter, Policy

__all__ = ["Augment", "Augmenter", "Policy"]
