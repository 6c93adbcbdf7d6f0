"""Carries out an `Augment` with albumentations, on CPU, about half a millisecond per 128 × 128 image."""

import math
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mango_grader.datasets.augmentation import Augment

# On import albumentations asks the network for a newer version of itself, unless told not to.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import cv2

cv2.setNumThreads(0)  # Its thread pool is slower than none on small images, and idle threads would spin.

__all__ = ["AlbumentationsAugmenter"]


class AlbumentationsAugmenter:
    """An `Augmenter` for images of one size; it keeps no state, threads may share it.

    Args:
        augment: what to change.
        height: of the images, in pixels.
        width: of the images, in pixels.

    Example:
        ```python
        import numpy as np

        from mango_grader.datasets import Augment
        from mango_grader.datasets.augmentation.albumentations import AlbumentationsAugmenter

        images = np.zeros((4, 32, 48, 3), np.uint8)
        augmenter = AlbumentationsAugmenter(Augment(rotate=45), height=32, width=48)
        assert np.array_equal(augmenter(images, (0, 1)), augmenter(images, (0, 1)))
        ```
    """

    def __init__(self, augment: Augment, height: int, width: int) -> None:
        self.augment, self.height, self.width = augment, height, width

    def __call__(self, images: NDArray[np.uint8], seed: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a changed copy of images, uint8 (N, height, width, 3).

        Args:
            images: uint8 (N, height, width, 3) RGB.
            seed: one or more numbers, 0 or more; the only state.

        Raises:
            ValueError: images are of another shape or type.
        """
        if images.shape[1:] != (self.height, self.width, 3) or images.dtype != np.uint8:
            expected = f"(N, {self.height}, {self.width}, 3)"
            raise ValueError(f"images must be uint8 {expected}, not {images.dtype} {images.shape}")
        number = int(np.random.SeedSequence(seed).generate_state(1)[0])
        if self.augment.policy != "none":
            images = _policy_applied(images, self.augment.policy, number, self.augment.cutout_fill)
        steps = _steps(self.augment)
        if not steps:
            return images.copy()
        # A fresh pipeline for each batch (0.4 ms) is what makes the seed the only state.
        pipeline = albumentations.Compose(steps, seed=number)
        changed = np.empty_like(images)
        for index, image in enumerate(images):
            changed[index] = pipeline(image=image)["image"]
        return changed


def _policy_applied(
    images: NDArray[np.uint8], policy: Literal["imagenet", "cifar10"], seed: int, fill: Sequence[int]
) -> NDArray[np.uint8]:
    import torch

    from mango_grader.datasets.augmentation.autoaugment import apply_policy  # torchvision takes a second to load

    changed: NDArray[np.uint8] = apply_policy(torch.from_numpy(images.copy()), policy, seed, fill).numpy()
    return changed


def _steps(augment: Augment) -> list[albumentations.BasicTransform]:
    steps: list[albumentations.BasicTransform] = []
    if augment.horizontal_flip:
        steps.append(albumentations.HorizontalFlip(p=augment.horizontal_flip))
    if augment.vertical_flip:
        steps.append(albumentations.VerticalFlip(p=augment.vertical_flip))
    if augment.rotate or augment.shift or augment.scale:
        steps.append(
            albumentations.Affine(
                scale=_about_one(augment.scale),
                translate_percent=(-augment.shift, augment.shift),
                rotate=(-augment.rotate, augment.rotate),
                keep_ratio=True,
                border_mode=cv2.BORDER_REFLECT_101,
                p=1.0,
            )
        )
    if augment.brightness or augment.contrast or augment.saturation or augment.hue:
        steps.append(
            albumentations.ColorJitter(
                brightness=_about_one(augment.brightness),
                contrast=_about_one(augment.contrast),
                saturation=_about_one(augment.saturation),
                hue=(-augment.hue, augment.hue),
                p=1.0,
            )
        )
    if augment.cutout and augment.cutout_probability:
        largest = min(augment.cutout, math.nextafter(1.0, 0.0))  # albumentations would take 1.0 for a pixel
        sides = (min(augment.cutout * augment.cutout_least, largest), largest)
        steps.append(
            albumentations.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=sides,
                hole_width_range=sides,
                fill=augment.cutout_fill,
                p=augment.cutout_probability,
            )
        )
    return steps


def _about_one(spread: float) -> tuple[float, float]:
    return 1 - spread, 1 + spread
