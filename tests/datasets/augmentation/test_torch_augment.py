"""The torch executor of an `Augment`: what it does by itself, and that it means what the albumentations one does."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from photos import photo
from torchvision.transforms import v2

from mango_grader.datasets import Augment
from mango_grader.datasets.augmentation.albumentations import AlbumentationsAugmenter
from mango_grader.datasets.augmentation.autoaugment import POLICIES, apply_policy
from mango_grader.datasets.augmentation.torch_augment import TorchAugmenter

CPU = torch.device("cpu")
IMAGES = torch.from_numpy(np.stack([np.asarray(photo(seed, (36, 32))) for seed in range(24)]))
NONE = Augment.none()


def run(augment: Augment, images: torch.Tensor = IMAGES, seed: tuple[int, ...] = (0,)) -> torch.Tensor:
    return TorchAugmenter(augment, CPU)(images, seed)


def both(augment: Augment, image: np.ndarray, draws: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Return `draws` changed copies by either executor, in batches: an order of colours holds for a batch."""
    batches = [np.repeat(image[None], 16, axis=0)] * (draws // 16)
    other = AlbumentationsAugmenter(augment, *image.shape[:2])
    own = [run(augment, torch.from_numpy(batch), (1, step)).numpy() for step, batch in enumerate(batches)]
    return np.concatenate(own), np.concatenate([other(batch, (2, step)) for step, batch in enumerate(batches)])


def agree(own: np.ndarray, other: np.ndarray, tolerance: float) -> None:
    """Compare a figure's mean, spread and extremes over many draws; (draws,) or (draws, figures)."""
    for name, of in {"mean": np.mean, "spread": np.std, "5 %": _low, "95 %": _high}.items():
        np.testing.assert_allclose(of(own, axis=0), of(other, axis=0), atol=tolerance, err_msg=name)


def _low(values: np.ndarray, axis: int) -> np.ndarray:
    return np.quantile(values, 0.05, axis=axis)


def _high(values: np.ndarray, axis: int) -> np.ndarray:
    return np.quantile(values, 0.95, axis=axis)


def square(height: int, width: int, half: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 2 - half : height // 2 + half, width // 2 - half : width // 2 + half] = 255
    return image


def centroids(images: np.ndarray) -> np.ndarray:
    """Return rows and columns of the centres of brightness, (N, 2)."""
    weights = images[..., 0] / images[..., 0].sum((1, 2), keepdims=True)
    rows, columns = np.indices(images.shape[1:3])
    return np.stack([(weights * rows).sum((1, 2)), (weights * columns).sum((1, 2))], 1)


def test_none_changes_nothing() -> None:
    out = run(NONE)
    assert torch.equal(out, IMAGES)
    assert out.data_ptr() != IMAGES.data_ptr()


@pytest.mark.parametrize("policy", ["none", "imagenet"])
def test_the_seed_is_the_only_state(policy: Literal["none", "imagenet"]) -> None:
    augmenter, before, state = TorchAugmenter(Augment(policy=policy), CPU), IMAGES.clone(), torch.get_rng_state()
    first = augmenter(IMAGES, (1, 2, 3))
    assert first.dtype == torch.uint8
    assert first.shape == IMAGES.shape
    assert not torch.equal(augmenter(IMAGES, (1, 2, 4)), first)
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(out, first) for out in pool.map(lambda _: augmenter(IMAGES, (1, 2, 3)), range(4)))
    assert torch.equal(IMAGES, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert sum(not torch.equal(one, other) for one, other in zip(first, IMAGES, strict=True)) > 20


def test_a_setting_does_not_disturb_the_draws_of_another() -> None:
    flipped = run(replace(NONE, horizontal_flip=0.5))
    holes = run(replace(NONE, horizontal_flip=0.5, cutout=0.3, cutout_probability=0.5))
    same = (flipped == holes).flatten(1).float().mean(1)
    assert 0.5 < same.min() < 1
    assert same.max() == 1


def test_images_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        run(Augment(), IMAGES.float())
    with pytest.raises(ValueError, match="must be uint8"):
        run(Augment(), IMAGES[0])


def test_flips_are_exact_and_as_frequent() -> None:
    assert torch.equal(run(replace(NONE, horizontal_flip=1)), IMAGES.flip(2))
    assert torch.equal(run(replace(NONE, vertical_flip=1)), IMAGES.flip(1))
    image = np.asarray(photo(0, (12, 10)))
    for own in both(replace(NONE, horizontal_flip=0.3, vertical_flip=0.8), image):
        sideways = [(one == image[:, ::-1]).all() or (one == image[::-1, ::-1]).all() for one in own]
        upside = [(one == image[::-1]).all() or (one == image[::-1, ::-1]).all() for one in own]
        assert np.mean(sideways) == pytest.approx(0.3, abs=0.07)
        assert np.mean(upside) == pytest.approx(0.8, abs=0.07)


def test_shifts_agree() -> None:
    own, other = both(replace(NONE, shift=0.2), square(30, 50, 2))
    agree(centroids(own), centroids(other), 0.9)
    assert set(np.unique(own)) == {0, 255}, "whole pixels"


def test_scales_agree_and_keep_proportions() -> None:
    own, other = both(replace(NONE, scale=0.3), square(40, 50, 8))
    agree(*(np.sqrt(images[..., 0].sum((1, 2)) / 255.0) for images in (own, other)), 0.5)
    sides = own[..., 0].astype(float).sum(1).max(1) / own[..., 0].astype(float).sum(2).max(1)
    assert np.abs(sides - 1).max() < 0.05


def test_rotations_agree() -> None:
    image = np.zeros((41, 61, 3), np.uint8)
    image[20, 14:47] = 255
    rows, columns = np.indices((41, 61)) - np.array([20, 30])[:, None, None]

    def angles(images: np.ndarray) -> np.ndarray:
        bright = images[..., 0].astype(float)
        across, along = (bright * rows * columns).sum((1, 2)), (bright * (columns**2 - rows**2)).sum((1, 2))
        return np.degrees(np.arctan2(2 * across, along) / 2)

    agree(*map(angles, both(replace(NONE, rotate=25), image)), 1.7)


def test_the_affine_map_is_one_about_the_centre_borders_reflected() -> None:
    image, number = np.asarray(photo(3, (36, 30))).copy(), 5
    out = run(replace(NONE, rotate=40, shift=0.3, scale=0.3), torch.from_numpy(image)[None], (number,))[0].numpy()
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(number).generate_state(1)[0]))
    _, _, turn, grow, right, down = (2 * torch.rand(15, 1, generator=generator)[:6, 0] - 1).tolist()
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 40 * turn, 1 + 0.3 * grow)
    matrix[:, 2] += np.trunc([0.3 * right * width, 0.3 * down * height])
    expected = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    assert np.abs(out.astype(int) - expected).mean() < 1.0


@pytest.mark.parametrize(
    "setting", [{"brightness": 0.3}, {"contrast": 0.4}, {"saturation": 0.6}, {"hue": 0.2}, {"hue": 0.5}], ids=str
)
def test_colours_agree(setting: dict[str, float]) -> None:
    image = np.asarray(photo(1, (12, 12))) // 3 + np.array([70, 40, 10], np.uint8)
    own, other = both(replace(NONE, **setting), image, draws=2048)  # type: ignore[arg-type]
    agree(own.mean((1, 2)), other.mean((1, 2)), 2.5)
    agree(own.std((1, 2)), other.std((1, 2)), 1.5)


def test_holes_agree() -> None:
    fill = (9, 8, 7)
    augment = replace(NONE, cutout=0.5, cutout_probability=0.6, cutout_fill=fill)
    own, other = both(augment, np.zeros((40, 60, 3), np.uint8))
    for images in (own, other):
        assert (images != 0).any((1, 2, 3)).mean() == pytest.approx(0.6, abs=0.07)
    own, other = (images[(images != 0).any((1, 2, 3))] for images in (own, other))
    agree(*((images != 0).all(3).sum(1).max(1) for images in (own, other)), 1.1)
    agree(*((images != 0).all(3).sum(2).max(1) for images in (own, other)), 1.6)
    agree(centroids(own), centroids(other), 3.0)
    for one in own:
        rows, columns = np.flatnonzero((one != 0).any((1, 2))), np.flatnonzero((one != 0).any((0, 2)))
        assert (one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == fill).all()


@pytest.mark.parametrize("policy", ["imagenet", "cifar10"])
def test_a_policy_makes_the_images_that_torchvision_makes(policy: Literal["imagenet", "cifar10"]) -> None:
    image = torch.from_numpy(np.asarray(photo(2, (16, 12))).copy())
    reference = v2.AutoAugment(v2.AutoAugmentPolicy[policy.upper()], fill=[114.0] * 3)
    torch.manual_seed(0)
    likely = np.stack([reference(image.permute(2, 0, 1)).permute(1, 2, 0).numpy() for _ in range(2000)])
    own = apply_policy(image.expand(2000, -1, -1, -1), policy, 3, (114,) * 3).numpy()
    known = np.unique(likely.reshape(2000, -1), axis=0).astype(int)
    found, times = np.unique(own.reshape(2000, -1), axis=0, return_counts=True)
    away = np.array([np.abs(known - one).mean(1).min() for one in found.astype(int)])
    assert times[away > 0.5].sum() < 20, "but for rare ones, and for rounding"
    assert (own == image.numpy()).all((1, 2, 3)).mean() == pytest.approx(
        (likely == image.numpy()).all((1, 2, 3)).mean(), abs=0.03
    )


@pytest.mark.parametrize("policy", ["imagenet", "cifar10"])
def test_the_tables_are_those_of_torchvision(policy: str) -> None:
    reference = v2.AutoAugment(v2.AutoAugmentPolicy[policy.upper()])._policies
    names = {"Color": "colour", "ShearX": "shear_x", "ShearY": "shear_y"}
    names |= {"TranslateX": "translate_x", "TranslateY": "translate_y"}
    for pair, expected in zip(POLICIES[policy], reference, strict=True):
        assert pair == tuple((names.get(name, name.lower()), chance, level or 0) for name, chance, level in expected)


def test_both_executors_have_the_policy() -> None:
    augment = replace(NONE, policy="cifar10")
    other = AlbumentationsAugmenter(augment, *IMAGES.shape[1:3])
    assert np.array_equal(run(augment).numpy(), other(IMAGES.numpy(), (0,)))
    assert not np.array_equal(run(augment), IMAGES)


_ALONE = """
import sys, torch
from mango_grader.datasets import Augment
from mango_grader.training.device import Device
from mango_grader.workflow.run.data import make_augmenter
class Pretended(Device):
    is_gpu = True
augmenter = make_augmenter(Augment(), 16, 16, Pretended("cpu"))
augmenter(torch.zeros(2, 16, 16, 3, dtype=torch.uint8), (0,))
print(sorted({"albumentations", "cv2"} & sys.modules.keys()))
"""


def test_a_machine_with_a_gpu_needs_no_albumentations() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
