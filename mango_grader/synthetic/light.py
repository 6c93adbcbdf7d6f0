"""Light on the fruit, its shadow, and the camera that takes the image."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mango_grader.synthetic.fields import Array, blur, encode, grain, mix, shaded, to_bytes
from mango_grader.synthetic.shape import Surface
from mango_grader.synthetic.skin import Skin, Stem


@dataclass(frozen=True)
class Lamp:
    """A lamp and the ambient light around it.

    Attributes:
        towards: (3,) unit direction from the fruit to the lamp; x right, y down, z to the viewer.
        colour: (3,) of the lamp, linear.
        ambient: (3,) colour of the ambient light, linear.
        second: (3,) direction of a weak second highlight.
        hardness: 0..1, from an overcast sky to a bare bulb.
    """

    towards: Array
    colour: Array
    ambient: Array
    second: Array
    hardness: float

    @classmethod
    def above(cls, rng: np.random.Generator) -> "Lamp":
        """Draw a soft lamp above a belt."""
        side, warmth, hardness = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.04), rng.uniform(0.1, 0.45)
        tint = np.array([1 + warmth, 1.0, 1 - 1.2 * warmth], np.float32)
        return cls(
            towards=_direction(side, rng.uniform(0.1, 0.45)),
            colour=tint * np.float32(0.85 + 0.4 * hardness),
            ambient=tint * np.float32(0.4 - 0.2 * hardness),
            second=_direction(side + np.pi, 0.4),
            hardness=hardness,
        )

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Lamp":
        """Draw daylight, a bulb or a tube from above."""
        side = rng.uniform(-np.pi, np.pi)
        lean = rng.uniform(0.25, 0.8)
        warmth = rng.normal(0, 0.07)
        tint = np.array([1 + warmth, 1.0, 1 - 1.2 * warmth], np.float32)
        hardness = rng.uniform(0, 0.85)
        power = rng.uniform(0.85, 1.15)
        second = side + rng.uniform(1.5, 4.5)
        return cls(
            towards=_direction(side, lean),
            colour=tint * np.float32(power * (0.85 + 0.4 * hardness)),
            ambient=tint[::-1] * np.float32(power * (0.4 - 0.2 * hardness)),
            second=_direction(second, rng.uniform(0.4, 0.9)),
            hardness=hardness,
        )


def _direction(side: float, lean: float) -> Array:
    return np.array([lean * np.cos(side), lean * np.sin(side), np.sqrt(1 - lean * lean)], np.float32)


def shade(skin: Skin, stem: Stem, surface: Surface, lamp: Lamp) -> Array:
    """Return the skin under a lamp, (P, 3) linear.

    Args:
        skin: of the fruit.
        stem: whose scar is seen.
        surface: of the view.
        lamp: that lights it.
    """
    scar, dimple = stem.scar(surface)
    unit = np.float32(surface.length / 2)
    slope_y, slope_x = np.gradient(skin.relief - surface.image(dimple) * 0.07 * unit)
    normals = surface.normals.copy()
    normals[0] -= slope_x.ravel()[surface.inside]
    normals[1] -= slope_y.ravel()[surface.inside]
    normals /= np.sqrt((normals * normals).sum(axis=0))
    albedo = skin.albedo + (stem.colour * np.float32(0.8) - skin.albedo) * scar[:, None]
    facing = lamp.towards @ normals
    wrap = np.float32(0.35 * (1 - lamp.hardness) + 0.05)
    diffuse = np.clip((facing + wrap) / (1 + wrap), 0, None)
    open_sky = 0.3 + 0.7 * np.clip(normals[2], 0, 1)
    light = diffuse[:, None] * lamp.colour + open_sky[:, None] * lamp.ambient
    shine = _highlight(normals, lamp.towards, lamp.hardness) + 0.35 * _highlight(normals, lamp.second, 0.2)
    rim = 0.05 * (1 - np.clip(normals[2], 0, 1)) ** 3
    gloss = skin.gloss * (1 - 0.8 * scar)
    return np.asarray(albedo * light + ((shine + rim) * gloss)[:, None] * lamp.colour, np.float32)


def _highlight(normals: Array, towards: Array, hardness: float) -> Array:
    half = towards + np.array([0, 0, 1], np.float32)
    cosine = np.clip((half / np.linalg.norm(half)) @ normals, 0, 1)
    sharp = np.float32(18 + 70 * hardness)
    result: Array = np.float32(0.14 + 0.4 * hardness) * cosine**sharp + np.float32(0.06) * cosine**7
    return result


def compose(lit: Array, stem: Stem, surface: Surface, lamp: Lamp, background: Array) -> Array:
    """Return the fruit on a background, with a soft shadow, (size, size, 3) linear.

    Args:
        lit: (P, 3) skin, from `shade`.
        stem: of the fruit.
        surface: of the view.
        lamp: that lights it.
        background: (size, size, 3), linear.
    """
    size, unit = surface.size, surface.length / 2
    floor = background * (lamp.colour * lamp.towards[2] + lamp.ambient)
    stalk, across = stem.draw_stalk(surface)
    shape = np.maximum(surface.alpha, stalk)
    floor = shaded(floor, shadow(shape, unit, lamp))
    wood = shaded(stem.colour * (lamp.colour * 0.8 + lamp.ambient), across)
    behind = surface.stem[2] < 0.12
    flat = (mix(floor, wood, stalk) if behind else floor).reshape(-1, 3)
    flat[surface.inside] = mix(flat[surface.inside], lit, surface.alpha.ravel()[surface.inside])
    image = flat.reshape(size, size, 3)
    return image if behind else mix(image, wood, stalk)


def shadow(shape: Array, unit: float, lamp: Lamp) -> Array:
    """Return the share of light (size, size) that a fruit leaves to the floor around it.

    Args:
        shape: (size, size) cover of the fruit, 0..1.
        unit: half of its length, in pixels.
        lamp: that lights it.
    """
    reach = -lamp.towards[:2] / lamp.towards[2] * np.float32(unit * 0.42)
    cast = _shift(blur(shape, unit * (0.05 + 0.12 * (1 - lamp.hardness))), float(reach[0]), float(reach[1]))
    contact = blur(shape, unit * 0.10)
    return np.asarray((1 - (0.25 + 0.4 * lamp.hardness) * cast) * (1 - 0.45 * contact), np.float32)


def _shift(image: Array, x: float, y: float) -> Array:
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return cv2.warpAffine(image, move, image.shape[::-1]).astype(np.float32, copy=False)


def photograph(rng: np.random.Generator, light: Array) -> NDArray[np.uint8]:
    """Return what a camera records, (size, size, 3) uint8 RGB: white balance, vignette, slight blur and noise.

    Args:
        rng: generator.
        light: (size, size, 3), linear.
    """
    size = light.shape[0]
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    vignette = 1 - np.float32(rng.uniform(0, 0.5)) * (rows**2 + columns**2)
    balance = np.exp(rng.normal(0, 0.03, 3) + rng.normal(0, 0.10)).astype(np.float32)
    image = blur(shaded(light * balance, vignette), rng.uniform(0.25, 0.8) * size / 224)
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.004, 0.018))
    image = shaded(image, 1 + 0.05 * grain(rng, size, 2))
    return to_bytes(encode(image) + noise)
