"""What the simulated camera makes of the belt: motion blur, uneven and drifting light, noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.line.simulator.motion import factor_at
from mango_grader.line.simulator.settings import SimulatorSettings

_SPARE = 61  # pixels by which the noise may be moved in each direction
_HALF = 128


class Optics:
    """The camera above the belt.

    Args:
        settings: of the simulated belt.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        rng = np.random.default_rng([settings.seed, *b"camera"])
        shape = (settings.across, settings.length)
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        far = ((rows / shape[0] - rng.uniform(0.4, 0.6)) ** 2 + (columns / shape[1] - rng.uniform(0.4, 0.6)) ** 2) / 2
        gain = np.clip((1 - 0.35 * far) * _HALF, 0, 255).astype(np.uint8)
        self._gain = cv2.merge([gain, gain, gain])
        noise = rng.standard_normal((shape[0] + _SPARE, shape[1] + _SPARE, 3), np.float32) * np.float32(settings.noise)
        self._more = np.clip(noise + 0.5, 0, 255).astype(np.uint8)
        self._less = np.clip(0.5 - noise, 0, 255).astype(np.uint8)
        self._swings = rng.uniform(0, 2 * np.pi, 4)

    def take(self, image: NDArray[np.uint8], index: int, time: float, pixels: float) -> NDArray[np.uint8]:
        """Return what the camera records, (across, along, 3) uint8 RGB.

        Args:
            image: of the belt, (across, along, 3).
            index: number of the frame.
            time: of the frame, in seconds.
            pixels: by which the belt moves while the shutter is open.
        """
        if pixels >= 1.5:
            image = np.asarray(cv2.blur(image, (round(pixels), 1), borderType=cv2.BORDER_REPLICATE), np.uint8)
        image = np.asarray(cv2.multiply(image, self._gain, scale=1 / _HALF), np.uint8)
        image = np.asarray(cv2.LUT(image, self._light(time)), np.uint8)
        if self._settings.noise:
            rng = np.random.default_rng([self._settings.seed, index, *b"noise"])
            top, left = rng.integers(0, _SPARE, 2)
            height, width = image.shape[:2]
            cv2.add(image, self._more[top : top + height, left : left + width], dst=image)
            cv2.subtract(image, self._less[top : top + height, left : left + width], dst=image)
        return image

    def _light(self, time: float) -> NDArray[np.uint8]:
        drift = self._settings.light_drift
        brightness = 1 + drift * np.sin(2 * np.pi * time / 47 + self._swings[0])
        tint = 1 + 0.4 * drift * np.sin(2 * np.pi * time / 61 + self._swings[1:])
        sudden = factor_at(self._settings.light_changes, np.array([time]))[0]
        gains = (brightness * sudden * tint) ** (1 / 2.2)
        levels = np.arange(256)[:, None] * gains
        return np.asarray(np.clip(levels + 0.5, 0, 255), np.uint8)[:, None]
