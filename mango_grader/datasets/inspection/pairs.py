"""Two images of the same fruit side by side, the features by which they were matched joined by lines."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from mango_grader.runtime.images.decode import decode

__all__ = ["draw_pair"]

SIDE = 220
"""Longer side of each image, in pixels."""

_GAP = 6
_LINES = 40
_COLOURS = ("#e8912d", "#3fa7d6", "#59cd90", "#ee6352", "#fac05e", "#b388eb")


def draw_pair(first: Path, second: Path, points: Sequence[Sequence[float]]) -> Image.Image:
    """Return both images with their features.

    Args:
        first: file of the one on the left.
        second: file of the one on the right.
        points: K places, (x, y) in the first image and (x, y) in the second, as shares of its longer side.

    Raises:
        ImageError: a file cannot be decoded.
    """
    canvas = Image.new("RGB", (2 * SIDE + _GAP, SIDE), "white")
    for left, path in ((0, first), (SIDE + _GAP, second)):
        image = decode(path, needed=lambda width, height: (min(width, SIDE), min(height, SIDE)))
        scale = SIDE / max(image.size)
        canvas.paste(image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale)))), (left, 0))
    draw = ImageDraw.Draw(canvas)
    step = max(1, -(-len(points) // _LINES))
    for number, (x, y, other_x, other_y) in enumerate(points[::step]):
        colour = _COLOURS[number % len(_COLOURS)]
        ends = (x * SIDE, y * SIDE), (SIDE + _GAP + other_x * SIDE, other_y * SIDE)
        draw.line(ends, fill=colour, width=1)
        for end_x, end_y in ends:
            draw.ellipse((end_x - 2, end_y - 2, end_x + 2, end_y + 2), outline=colour)
    return canvas
