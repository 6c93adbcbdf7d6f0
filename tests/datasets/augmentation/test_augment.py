import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from photos import photo

from mango_grader.datasets import Augment, Augmenter
from mango_grader.datasets.augmentation.albumentations import AlbumentationsAugmenter
from mango_grader.datasets.augmentation.torch_augment import TorchAugmenter
from mango_grader.errors import UsageError
from mango_grader.workflow.presets import PRESETS

IMAGES = np.stack([np.asarray(photo(seed, (36, 32))) for seed in range(24)])
ONES = dict.fromkeys(("horizontal_flip", "vertical_flip", "cutout_probability"), 1.0)


def run(augment: Augment, seed: tuple[int, ...] = (0,), images: np.ndarray = IMAGES) -> np.ndarray:
    augmenter: Augmenter = AlbumentationsAugmenter(augment, images.shape[1], images.shape[2])
    return augmenter(images, seed)


def test_a_description_survives_json() -> None:
    augment = Augment(rotate=7, cutout_fill=(1, 2, 3), policy="cifar10")
    assert Augment.from_dict(augment.to_dict()) == augment
    assert Augment.from_dict({"rotate": 7}) == replace(Augment(), rotate=7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"horizontal_flip": 1.5}, "horizontal_flip must be in 0..1,"),
        ({"rotate": -1}, "rotate must be in 0..180,"),
        ({"scale": 1.0}, "scale must be in 0..0.99,"),
        ({"hue": 0.6}, "hue must be in 0..0.5,"),
        ({"hue": float("nan")}, "hue"),
        ({"cutout_fill": [1, 2]}, "cutout_fill"),
        ({"cutout_fill": [1, 2, 300]}, "cutout_fill"),
        ({"policy": "magic"}, "policy must be one of none, imagenet, cifar10"),
        ({"blur": 1}, "no setting blur; there are brightness"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Augment.from_dict(values)


def test_none_changes_nothing() -> None:
    out = run(Augment.none())
    assert np.array_equal(out, IMAGES)
    assert not np.shares_memory(out, IMAGES)


def test_the_seed_is_the_only_state() -> None:
    augmenter = AlbumentationsAugmenter(Augment(), 32, 36)
    first = augmenter(IMAGES, (1, 2, 3))
    assert first.dtype == np.uint8
    assert first.shape == IMAGES.shape
    assert not np.array_equal(augmenter(IMAGES, (1, 2, 4)), first)
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda _: augmenter(IMAGES, (1, 2, 3)), range(8)))
    assert all(np.array_equal(out, first) for out in outputs)
    changed = [not np.array_equal(one, other) for one, other in zip(first, IMAGES, strict=True)]
    assert sum(changed) > 20
    assert np.array_equal(IMAGES[0], np.asarray(photo(0, (36, 32)))), "the input must stay as it was"


@pytest.mark.parametrize(
    ("augment", "expected"),
    [
        (replace(Augment.none(), horizontal_flip=1), IMAGES[:, :, ::-1]),
        (replace(Augment.none(), vertical_flip=1), IMAGES[:, ::-1]),
        (replace(Augment.none(), horizontal_flip=1, vertical_flip=1), IMAGES[:, ::-1, ::-1]),
    ],
)
def test_flips(augment: Augment, expected: np.ndarray) -> None:
    assert np.array_equal(run(augment), expected)


def test_borders_are_reflected_not_filled() -> None:
    white = np.full((16, 32, 36, 3), 240, np.uint8)
    moved = run(replace(Augment.none(), rotate=45, shift=0.3, scale=0.4), images=white)
    assert moved.min() >= 239


def test_shift_is_a_fraction_and_reaches_both_ways() -> None:
    image = np.zeros((64, 40, 40, 3), np.uint8)
    image[:, 18:22, 18:22] = 255
    moved = run(replace(Augment.none(), shift=0.25), images=image)[..., 0]
    rows, columns = np.indices((40, 40))
    centres = [((rows * one).sum() / one.sum() - 19.5, (columns * one).sum() / one.sum() - 19.5) for one in moved / 255]
    assert np.abs(centres).max() <= 10.6
    assert np.min(centres, axis=0).max() < -5
    assert np.max(centres, axis=0).min() > 5


def test_scale_keeps_proportions() -> None:
    image = np.zeros((64, 60, 60, 3), np.uint8)
    image[:, 20:40, 20:40] = 255
    scaled = run(replace(Augment.none(), scale=0.4), images=image)[..., 0] / 255
    sides = np.array([(one.sum(0).max(), one.sum(1).max()) for one in scaled]) / 20
    assert np.abs(sides[:, 0] - sides[:, 1]).max() < 0.02
    assert 0.58 < sides.min() < 0.8
    assert 1.2 < sides.max() < 1.42


def test_rotation_stays_within_its_degrees() -> None:
    image = np.zeros((64, 41, 41, 3), np.uint8)
    image[:, 20, 4:37] = 255
    moved = run(replace(Augment.none(), rotate=10), images=image)[..., 0].astype(float)
    rows, columns = np.indices((41, 41)) - 20
    angles = [np.degrees(np.arctan((one * rows * columns).sum() / (one * columns**2).sum())) for one in moved]
    assert np.abs(angles).max() <= 11
    assert min(angles) < -4
    assert max(angles) > 4


def test_colours_change_within_their_factors() -> None:
    grey = np.full((64, 8, 8, 3), 100, np.uint8)
    bright = run(replace(Augment.none(), brightness=0.2), images=grey)
    assert bright.min() >= 79
    assert bright.max() <= 121
    assert bright.std((1, 2, 3)).max() == 0
    assert len(np.unique(bright)) > 10


def test_cutout_fills_one_rectangle_of_the_described_size() -> None:
    images = np.zeros((64, 40, 60, 3), np.uint8)
    fill = (9, 8, 7)
    out = run(replace(Augment.none(), cutout=0.5, cutout_probability=1, cutout_fill=fill), images=images)
    for one in out:
        hole = (one != 0).all(-1)
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert np.array_equal(one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], hole_of(rows, columns, fill))
        assert 9 <= len(rows) <= 20
        assert 14 <= len(columns) <= 30
    some = run(replace(Augment.none(), cutout=0.5, cutout_probability=0.5), images=images)
    assert 0.2 < (some != 0).any((1, 2, 3)).mean() < 0.8


def test_fault_holes_of_16_pixels_were_8_to_16() -> None:
    augment = PRESETS["paper"].setup_of("dso").augment
    only_holes = replace(augment, horizontal_flip=0.0, shift=0.0)
    images = np.zeros((64, 32, 32, 3), np.uint8)
    torched = TorchAugmenter(only_holes, torch.device("cpu"))(torch.from_numpy(images), (0,)).numpy()
    for out in (run(only_holes, images=images), torched):
        holes = (out != 0).all(-1)
        assert (holes.any(1).sum(1) == 16).all()
        assert (holes.any(2).sum(1) == 16).all()
        assert (holes.sum((1, 2)) == 16 * 16).all()


def test_the_largest_cutout_is_not_taken_for_a_pixel() -> None:
    images = np.zeros((32, 20, 20, 3), np.uint8)
    out = run(replace(Augment.none(), cutout=1.0, cutout_probability=1), images=images)
    assert (out != 0).mean() > 0.3


def hole_of(rows: np.ndarray, columns: np.ndarray, fill: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.array(fill, np.uint8), (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1, 3))


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        AlbumentationsAugmenter(Augment(), 10, 10)(IMAGES, (0,))
    with pytest.raises(ValueError, match="must be uint8"):
        AlbumentationsAugmenter(Augment(), 32, 36)(IMAGES.astype(np.float32), (0,))  # type: ignore[arg-type]


_OFFLINE = """
import socket, sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"opened a socket: {event}")

sys.addaudithook(refuse)
import numpy as np
from mango_grader.datasets import Augment
from mango_grader.datasets.augmentation.albumentations import AlbumentationsAugmenter
import cv2
AlbumentationsAugmenter(Augment(), 16, 16)(np.zeros((2, 16, 16, 3), np.uint8), (0,))
print("offline", cv2.getNumThreads())
"""


def test_no_socket_is_opened(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "offline 1\n"), done.stderr
