"""The camera's lens: frames without its distortion, so that a millimetre is as long everywhere in the image."""

from dataclasses import replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.belt import Camera
from mango_grader.line.frame import Frame


class Lens:
    """Straightens frames; a camera whose distortion is not known gives them back as they are.

    Args:
        camera: whose lens it is.

    Example:
        >>> camera = Camera(640, 480, matrix=(500, 0, 320, 0, 500, 240, 0, 0, 1), distortion=(-0.2, 0.0, 0.0, 0.0, 0.0))
        >>> Lens(camera).straightened(np.zeros((480, 640, 3), np.uint8)).shape
        (480, 640, 3)
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def straighten(self, frame: Frame) -> Frame:
        """Return a frame with straight lines where the belt has straight lines."""
        if frame.image is None or not self._camera.distortion:
            return frame
        return replace(frame, image=self.straightened(frame.image))

    def straightened(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image likewise.

        Args:
            image: of the camera's frames, or a reduced one; (h, w) or (h, w, 3) uint8.
        """
        camera = self._camera
        if not camera.distortion:
            return image
        if image.shape[:2] == (camera.height, camera.width):
            return np.asarray(cv2.remap(image, *self._maps, interpolation=cv2.INTER_LINEAR), np.uint8)
        matrix = self._matrix * [[image.shape[1] / camera.width], [image.shape[0] / camera.height], [1.0]]
        return np.asarray(cv2.undistort(image, matrix, np.array(camera.distortion)), np.uint8)

    @cached_property
    def _matrix(self) -> NDArray[np.float64]:
        return np.array(self._camera.matrix, np.float64).reshape(3, 3)

    @cached_property
    def _maps(self) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
        size = self._camera.width, self._camera.height
        first, second = cv2.initUndistortRectifyMap(
            self._matrix, np.array(self._camera.distortion), np.eye(3), self._matrix, size, cv2.CV_16SC2
        )
        return np.asarray(first, np.int16), np.asarray(second, np.uint16)
