"""The appearance of defects: colours, halos, depth and gloss."""

from dataclasses import dataclass

import cv2
import numpy as np

from mango_grader.synthetic.fields import Array, blur, linear, mix, smoothstep
from mango_grader.synthetic.lesions import Defects
from mango_grader.synthetic.rule import WEIGHTS, Kind
from mango_grader.synthetic.shape import Surface
from mango_grader.synthetic.skin import Skin


@dataclass(frozen=True)
class _Look:
    heart: tuple[int, int, int]  # display colour in the middle
    rim: tuple[int, int, int]
    halo: tuple[int, int, int]
    cover: float  # share of the skin's own colour that it hides
    soft: float  # width of the edge in units of the radius
    halo_cover: float
    depth: float  # of the sunken middle, in pixels at 224
    gloss: float  # share of the gloss that it leaves


_LOOKS = {
    Kind.BRUISE: _Look((78, 50, 34), (98, 66, 40), (146, 110, 62), 0.86, 0.5, 0.25, 1.0, 0.4),
    Kind.SAP_BURN: _Look((54, 36, 26), (80, 52, 32), (150, 108, 56), 0.9, 0.5, 0.4, 0.3, 0.5),
    Kind.ANTHRACNOSE: _Look((34, 28, 26), (72, 48, 32), (136, 98, 44), 0.96, 0.25, 0.6, 2.6, 0.3),
    Kind.STEM_END_ROT: _Look((50, 38, 32), (94, 64, 40), (134, 96, 52), 0.94, 0.25, 0.5, 0.9, 0.5),
}


def paint(skin: Skin, defects: Defects, surface: Surface) -> Skin:
    """Return the skin with defects.

    Args:
        skin: without defects.
        defects: to paint.
        surface: of the view.
    """
    albedo, gloss, relief = skin.albedo, skin.gloss, skin.relief
    for kind in sorted(defects.edges, key=WEIGHTS.__getitem__):
        look, edge = _LOOKS[kind], defects.edges[kind]
        near = _near(edge, surface)
        halo = smoothstep(1.35, 0.95, edge) * near * np.float32(look.halo_cover)
        cover = smoothstep(1 + look.soft / 2, 1 - look.soft / 2, edge) * near
        within = smoothstep(1.0, 0.3, edge + 0.16 * defects.texture)
        colour = mix(linear(look.rim), linear(look.heart), within) * np.exp(0.16 * defects.texture)[:, None]
        albedo = mix(mix(albedo, np.minimum(albedo, linear(look.halo)), halo), colour, cover * np.float32(look.cover))
        gloss = gloss * (1 - cover * np.float32(1 - look.gloss))
        sunken = smoothstep(1.1, 0.5, edge) * near * np.float32(look.depth * surface.size / 224)
        relief = relief - surface.image(sunken + 0.25 * cover * defects.texture * np.float32(look.cover > 0.9))
    return Skin(albedo, gloss, relief)


def _near(edge: Array, surface: Surface) -> Array:
    """Return a factor (P,) that falls from 1 to 0 over 5 % of the image, so that large defects get no wider halos."""
    within = surface.image((edge < 1).astype(np.float32))
    reach = round(surface.size / 28)
    grown = cv2.dilate(within, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    return blur(np.asarray(grown, np.float32), reach / 3).ravel()[surface.inside]
