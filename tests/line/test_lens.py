"""A lens that bends straight lines: frames are straightened for the line and for its calibration."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mango_grader.line import Camera, Frame
from mango_grader.line.lens import Lens

CAMERA = Camera(
    640, 480, matrix=(600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0), distortion=(-0.35, 0.1, 0.0, 0.0, 0.0)
)


def line_through(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the middle row of a dark line in each column."""
    dark = (255.0 - image[..., 0]).clip(0) ** 2
    return np.asarray((dark * np.arange(len(dark))[:, None]).sum(0) / dark.sum(0))


def bent() -> NDArray[np.uint8]:
    """Return what the camera sees of a straight line near its upper border."""
    rows, columns = np.mgrid[:480, :640].astype(np.float32)
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    matrix, distortion = np.array(CAMERA.matrix).reshape(3, 3), np.array(CAMERA.distortion)
    straight = cv2.undistortPoints(points[:, None], matrix, distortion, P=matrix).reshape(480, 640, 2)
    grey = 255 - 255 * np.exp(-(((straight[..., 1] - 40) / 3) ** 2))
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def test_a_straight_line_is_straight_again() -> None:
    image = bent()
    assert np.ptp(line_through(image)[40:600]) > 8
    straight = Lens(CAMERA).straighten(Frame(0, 0.0, image)).image
    assert straight is not None
    assert np.ptp(line_through(straight)[40:600]) < 1.5
    assert line_through(straight)[320] == pytest.approx(40, abs=1)


def test_a_reduced_image_is_straightened_alike() -> None:
    small = cv2.resize(bent(), (320, 240), interpolation=cv2.INTER_AREA)
    assert np.ptp(line_through(Lens(CAMERA).straightened(np.asarray(small, np.uint8)))[20:300]) < 1


def test_a_lens_that_is_not_known_changes_nothing() -> None:
    frame = Frame(0, 0.0, bent())
    assert Lens(Camera(640, 480)).straighten(frame) is frame
    unread = Frame(0, 0.0, None, error="torn")
    assert Lens(CAMERA).straighten(unread) is unread
