"""Backgrounds; each is a function that draws an image (size, size, 3) in linear light."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from mango_grader.synthetic.fields import Array, blur, grain, linear, mix, pick, shaded, smoothstep

Background = Callable[[np.random.Generator, int], Array]


def _axes(rng: np.random.Generator, size: int, tilt: float = 0.2) -> tuple[Array, Array]:
    """Coordinates (size, size) in 0 to about 1, upright or on the side, tilted by up to `tilt` radians."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    if rng.random() < 0.5:
        rows, columns = columns, rows
    angle = rng.uniform(-tilt, tilt)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return rows * cos - columns * sin, rows * sin + columns * cos


def _plain(rng: np.random.Generator, size: int) -> Array:
    colours = ((236, 234, 228), (150, 152, 154), (92, 98, 108), (84, 122, 176), (206, 190, 160), (70, 120, 90))
    rows, columns = _axes(rng, size)
    slope = 1 + rng.uniform(-0.35, 0.35) * (rows - 0.5) + rng.uniform(-0.35, 0.35) * (columns - 0.5)
    return shaded(pick(rng, colours), slope * (1 + 0.03 * grain(rng, size, 3)))


def _belt(rng: np.random.Generator, size: int) -> Array:
    colours = ((84, 132, 108), (96, 102, 110), (88, 128, 176), (214, 216, 212), (130, 134, 138))
    rows, columns = _axes(rng, size, 0.06)
    ribs = np.cos(rows * np.float32(2 * np.pi * rng.uniform(18, 46))) * np.float32(rng.uniform(0.02, 0.12))
    wear = 0.08 * grain(rng, size, (3, 24), 2) + 0.06 * grain(rng, size, size / 3)
    belt = shaded(pick(rng, colours), 1 + ribs + wear)
    low, high = rng.uniform(-0.1, 0.1), rng.uniform(0.9, 1.1)
    rail = 1 - smoothstep(low, low + 0.01, columns) * smoothstep(high + 0.01, high, columns)
    steel = shaded(linear((168, 172, 176)), 1 + 0.25 * np.cos(columns * 40) + 0.05 * grain(rng, size, (60, 4)))
    return mix(belt, steel, rail)


def _rollers(rng: np.random.Generator, size: int) -> Array:
    colours = ((124, 128, 134), (176, 178, 180), (222, 222, 216), (90, 128, 172))
    rows, columns = _axes(rng, size, 0.05)
    count = rng.uniform(3.5, 7)
    across = (rows * count + rng.uniform(0, 1)) % 1 * 2 - 1
    height = np.sqrt(np.maximum(1 - (across / 0.86) ** 2, 0))
    shine = np.exp(-((across - rng.uniform(-0.4, 0.1)) ** 2) / 0.02) * np.float32(rng.uniform(0.1, 0.5))
    scratches = 1 + 0.05 * grain(rng, size, (40, 6)) + 0.04 * grain(rng, size, size / 4)
    roller = shaded(pick(rng, colours), (0.15 + 0.85 * height) * scratches) + (shine * 0.3 * height)[..., None]
    gap = smoothstep(0.80, 0.9, np.abs(across))
    axle = smoothstep(0.02, 0.012, np.abs(columns - rng.uniform(-0.05, 0.1)))
    return mix(mix(roller, linear((70, 74, 80)), gap), linear((120, 122, 126)), axle)


def _tray(rng: np.random.Generator, size: int) -> Array:
    colours = ((172, 162, 146), (136, 118, 170), (96, 138, 106), (190, 188, 182), (120, 126, 142))
    rows, columns = _axes(rng, size, 0.25)
    count = rng.uniform(1.6, 2.6)
    y = (rows * count + rng.uniform(0, 1)) % 1 * 2 - 1
    x = (columns * count + rng.uniform(0, 1)) % 1 * 2 - 1
    bowl = -smoothstep(0.98, 0.55, np.hypot(x, y)) * np.float32(0.6)
    slope = np.gradient(blur(bowl, size / 90), axis=(0, 1))
    light = 1 + (slope[0] + slope[1]) * np.float32(size / 224 * 26)
    fibres = 1 + 0.05 * grain(rng, size, size / 5, 2) + 0.04 * grain(rng, size, 8)
    return shaded(pick(rng, colours), np.clip(light, 0.25, 1.8) * (1 + 0.45 * bowl) * fibres)


def _cloth(rng: np.random.Generator, size: int) -> Array:
    colours = ((190, 182, 166), (92, 112, 156), (160, 92, 96), (210, 208, 202), (112, 136, 120), (182, 160, 118))
    rows, columns = _axes(rng, size, 0.6)
    threads = rng.uniform(40, 75)
    weave = np.sin(rows * np.float32(2 * np.pi * threads)) * np.sin(columns * np.float32(2 * np.pi * threads))
    folds = grain(rng, size, (rng.uniform(2, 4), rng.uniform(3, 6)), 2)
    slope = np.gradient(blur(folds, size / 60), axis=1) * np.float32(size / 224 * 9)
    tone = 1 + 0.09 * weave + np.clip(slope, -0.5, 0.6) + 0.05 * grain(rng, size, size / 4)
    cloth = shaded(pick(rng, colours), tone)
    if rng.random() < 0.4:
        band = smoothstep(0.55, 0.7, np.cos(columns * np.float32(2 * np.pi * rng.uniform(2, 6))))
        cloth = mix(cloth, cloth * 0.5 + pick(rng, colours) * 0.4, band)
    return cloth


def _concrete(rng: np.random.Generator, size: int) -> Array:
    colours = ((150, 148, 142), (132, 132, 130), (172, 166, 154), (118, 116, 114))
    tone = 1 + 0.09 * grain(rng, size, 3, 5) + 0.09 * grain(rng, size, size / 2)
    pits = smoothstep(1.9, 2.6, grain(rng, size, size / 4))
    floor = shaded(pick(rng, colours, 0.15), tone * (1 - 0.5 * pits))
    if rng.random() < 0.4:
        crack = np.abs(_axes(rng, size, 0.8)[0] - rng.uniform(0.1, 0.9) + 0.03 * grain(rng, size, 5, 3))
        floor = shaded(floor, 1 - 0.65 * smoothstep(0.008, 0.002, crack))
    return floor


def _wood(rng: np.random.Generator, size: int) -> Array:
    colours = ((190, 148, 104), (162, 122, 86), (206, 172, 130), (148, 122, 100), (166, 152, 134))
    rows, _ = _axes(rng, size, 0.12)
    planks = rng.uniform(2.5, 6)
    position = rows * planks + rng.uniform(0, 1)
    board = np.floor(position).astype(int) + 3
    tints = np.exp(rng.normal(0, 0.16, 16)).astype(np.float32)[board % 16]
    shifts = rng.uniform(0, 9, 16).astype(np.float32)[board % 16]
    warp = grain(rng, size, (10, 2.2), 2)
    rings = np.sin(2 * np.pi * (position * np.float32(rng.uniform(2, 4)) + shifts + 0.5 * warp))
    fibre = (
        grain(rng, size, (size / 2, 8))
        if abs(float(rows[1, 0] - rows[0, 0])) * size > 0.5
        else grain(rng, size, (8, size / 2))
    )
    gap = smoothstep(0.03, 0.012, np.abs(position - np.round(position)))
    return shaded(pick(rng, colours), tints * (1 + 0.12 * rings + 0.08 * fibre) * (1 - 0.8 * gap))


def _leaves(rng: np.random.Generator, size: int) -> Array:
    colours = ((84, 126, 66), (106, 144, 74), (74, 112, 70), (122, 152, 84), (132, 138, 78))
    image = shaded(linear((72, 96, 62)), 1 + 0.3 * grain(rng, size, 8))
    for light in np.linspace(0.6, 1.15, 26):
        _draw_leaf(rng, image, pick(rng, colours, 0.1) * np.float32(light))
    return blur(np.clip(image, 0, 1), rng.uniform(0, 1.6) * size / 224)


def _draw_leaf(rng: np.random.Generator, image: Array, colour: Array) -> None:
    """Draw a bent leaf on `image`: one half in the shade, one in the light, and the midrib."""
    size = image.shape[0]
    length, width = rng.uniform(0.25, 0.5) * size, rng.uniform(0.05, 0.1) * size
    angle = rng.uniform(0, 2 * np.pi)
    x, y = rng.uniform(-0.1, 1.1, 2) * size
    t = np.linspace(-1, 1, 17)
    bow = rng.uniform(-0.25, 0.25) * length * (1 - t**2)
    half = width * (1 - np.abs(t) ** 1.8)
    cos, sin = np.cos(angle), np.sin(angle)
    along = np.concatenate([t, t[::-1]]) * length / 2
    for inner, outer, tone in ((-1, 0, 0.85), (0, 1, 1.1), (-0.06, 0.06, 1.7)):
        across = np.concatenate([bow + inner * half, (bow + outer * half)[::-1]])
        corners = np.stack([x + along * cos - across * sin, y + along * sin + across * cos], axis=1)
        channels = [float(channel) * tone for channel in colour]
        cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], channels, cv2.LINE_AA, 4)


def _hand(rng: np.random.Generator, size: int) -> Array:
    skins = ((206, 162, 134), (172, 128, 102), (150, 112, 90), (96, 138, 190), (226, 226, 222), (112, 116, 128))
    behind = ((132, 134, 134), (104, 108, 114), (158, 154, 146), (104, 126, 112))
    image = shaded(pick(rng, behind), np.clip(0.95 + 0.22 * grain(rng, size, 4, 2), 0.4, 1.6))
    colour, side = pick(rng, skins), rng.uniform(0, 2 * np.pi)
    out = np.array([np.cos(side), np.sin(side)])
    turn = np.array([-out[1], out[0]])
    height = np.zeros((size, size), np.float32)
    middle = np.array([size, size]) / 2
    strokes = [(middle + out * 0.95 * size, middle + out * 0.1 * size, 0.5)]
    for finger in range(4):
        root = middle + out * 0.25 * size + turn * (finger - 1.5) * 0.17 * size
        tip = middle - out * rng.uniform(0.30, 0.42) * size + turn * (finger - 1.5) * rng.uniform(0.2, 0.26) * size
        strokes.append((root, tip, 0.13))
    thumb_side = 1 if rng.random() < 0.5 else -1
    strokes.append((middle + out * 0.4 * size, middle + turn * thumb_side * 0.46 * size + out * 0.05 * size, 0.14))
    for start, end, wide in strokes:
        stroke = np.zeros((size, size), np.float32)
        a, b = (tuple(int(v) for v in np.round(point)) for point in (start, end))
        cv2.line(stroke, a, b, 1.0, max(1, round(wide * size)), cv2.LINE_AA)
        round_off = np.sqrt(blur(stroke, wide * size * 0.18))
        height = np.maximum(height, stroke * round_off * np.float32(1 if wide < 0.3 else 0.9))
    cover = smoothstep(0.1, 0.5, blur(height, size / 200))
    slope = np.gradient(blur(height, size / 110), axis=(0, 1))
    shade = np.clip(0.85 - (slope[0] + 0.5 * slope[1]) * np.float32(size / 224 * 5), 0.25, 1.4)
    tone = shade * (0.55 + 0.5 * height) * (1 + 0.05 * grain(rng, size, 30, 2))
    return mix(image, shaded(colour, tone), cover)


def _tiles(rng: np.random.Generator, size: int) -> Array:
    colours = ((226, 226, 220), (206, 200, 186), (150, 168, 176), (188, 206, 196))
    rows, columns = _axes(rng, size, 0.5)
    count = rng.uniform(1.5, 4)
    y, x = (rows * count + rng.uniform(0, 1)) % 1, (columns * count + rng.uniform(0, 1)) % 1
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    glaze = shaded(pick(rng, colours, 0.08), 1 + 0.05 * grain(rng, size, 3, 2))
    return mix(
        shaded(linear((132, 126, 118)), 1 + 0.1 * grain(rng, size, size / 4)),
        glaze,
        smoothstep(0.012, 0.03, edge),
    )


BACKGROUNDS: Mapping[str, Background] = {
    "belt": _belt, "rollers": _rollers, "tray": _tray, "cloth": _cloth, "concrete": _concrete, "wood": _wood,
    "plain": _plain, "hand": _hand, "leaves": _leaves, "tiles": _tiles,
}  # fmt: skip
"""The backgrounds by name, as `--backgrounds` takes them."""
