"""An image and its heat map side by side, for people: the image with the peak ringed, beside it the map in colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mango_grader.runtime.images.decode import ImageSource
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.heat_map import HeatMap

CAPTION = 22
"""Height of the caption under the two panels, in pixels."""

_SIDE = 320  # pixels of a panel's longer side at least
_STRONGEST = 0.85  # share of the map's colour at its peak
# Matplotlib's "inferno" (CC0) without its black end: brightness grows evenly, for colour-blind people, too.
_COLOURS = np.array(
    [[66, 10, 104], [106, 23, 110], [147, 38, 103], [188, 55, 84], [221, 81, 58], [243, 120, 25], [252, 165, 10],
     [246, 215, 70], [252, 255, 164]], np.float32,
)  # fmt: skip


def draw_overlay(source: ImageSource, preprocess: Preprocess, heat_map: HeatMap, caption: str) -> Image.Image:
    """Return two panels side by side over a caption: the image, and the image in grey under its heat map.

    Both show the image as the network takes it, turned and filled up, in more pixels. Colour begins where the evidence
    is above its mean over the image, and is brightest at its peak, which is ringed in the left panel.

    Args:
        source: the image, as for `decode`.
        preprocess: of the model.
        heat_map: of the image.
        caption: what the bottom line says.

    Raises:
        ImageError: if the image cannot be decoded.
    """
    times = -(-_SIDE // max(preprocess.height, preprocess.width))
    larger = Preprocess(
        preprocess.height * times, preprocess.width * times, preprocess.rotate_portrait, preprocess.fill
    )
    pixels = larger(source)
    height, width = pixels.shape[:2]
    overlay = Image.new("RGB", (2 * width, height + CAPTION), "white")
    overlay.paste(_ringed(pixels, heat_map), (0, 0))
    overlay.paste(Image.fromarray(_coloured(pixels, strength(heat_map, (height, width)))), (width, 0))
    draw = ImageDraw.Draw(overlay)
    draw.text((6, height + CAPTION // 2), caption, "black", ImageFont.load_default(13), "lm")
    return overlay


def heat_panel(overlay: Image.Image) -> Image.Image:
    """Return the right panel of `draw_overlay`, without the caption."""
    return overlay.crop((overlay.width // 2, 0, overlay.width, overlay.height - CAPTION))


def strength(heat_map: HeatMap, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how strong the evidence is at each pixel: 0 where it is not above its mean, 1 at its peak.

    Args:
        heat_map: of an image.
        size: (height, width) to enlarge it to.
    """
    above = np.maximum(heat_map.values - heat_map.values.mean(), 0)
    peak = float(above.max())
    enlarged = Image.fromarray(above / peak if peak > 0 else above).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.clip(np.asarray(enlarged, np.float32), 0, 1)


def _ringed(pixels: NDArray[np.uint8], heat_map: HeatMap) -> Image.Image:
    image = Image.fromarray(pixels)
    (x, y), radius = heat_map.peak, max(6, image.width // max(heat_map.values.shape))
    left, top = x * image.width - radius, y * image.height - radius
    draw = ImageDraw.Draw(image)
    for inset, colour in ((0, "black"), (1, "white"), (2, "white"), (3, "black")):
        corners = (left + inset, top + inset, left + 2 * radius - inset, top + 2 * radius - inset)
        draw.ellipse(corners, outline=colour)
    return image


def _coloured(pixels: NDArray[np.uint8], strong: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    steps = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(strong, steps, channel) for channel in _COLOURS.T], axis=-1)
    share = (_STRONGEST * np.sqrt(strong))[..., None]
    return np.clip(grey * (1 - share) + colours * share, 0, 255).astype(np.uint8)
