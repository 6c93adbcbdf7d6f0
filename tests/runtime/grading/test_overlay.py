import numpy as np
import pytest
from PIL import Image

from mango_grader.errors import ImageError
from mango_grader.runtime.grading.overlay import CAPTION, draw_overlay, heat_panel, strength
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.heat_map import HeatMap

SMALL = np.array([[0, 0, 0, 0], [0, 0, 4, 0], [0, 0, 0, -2]], np.float32)


def test_two_panels_show_the_image_as_the_network_takes_it() -> None:
    tall = np.full((100, 40, 3), (200, 30, 30), np.uint8)
    overlay = draw_overlay(tall, Preprocess(12, 16), HeatMap(SMALL, "red", 2), "red, 99.0%, exit 2 of 2")
    assert overlay.size == (2 * 320, 240 + CAPTION)
    assert heat_panel(overlay).size == (320, 240)
    pixels = np.asarray(overlay)
    np.testing.assert_array_equal(pixels[120, 10], (114, 114, 114))  # filled up, as the network sees it
    np.testing.assert_array_equal(pixels[20, 160], (200, 30, 30))
    caption = pixels[240:]
    assert caption.min() < 100
    assert (caption == 255).mean() > 0.8


def test_colour_is_brightest_at_the_peak_and_absent_where_there_is_less_evidence_than_on_average() -> None:
    panel = heat_panel(
        draw_overlay(np.full((12, 16, 3), 100, np.uint8), Preprocess(12, 16), HeatMap(SMALL, "red", 1), "")
    )
    colour = np.ptp(np.asarray(panel).astype(int), axis=2)
    row, column = np.unravel_index(int(colour.argmax()), colour.shape)
    assert (row // 80, column // 80) == (1, 2)
    assert colour[200:, 280:].max() == 0
    found = strength(HeatMap(SMALL, "red", 1), (120, 160))
    assert found.shape == (120, 160)
    assert found.min() == 0
    assert 0.95 < found.max() <= 1


def test_a_map_without_a_peak_colours_nothing() -> None:
    assert strength(HeatMap(np.full((3, 4), 2, np.float32), "red", 1), (30, 40)).max() == 0


def test_a_larger_input_is_not_made_larger_still() -> None:
    overlay = draw_overlay(np.zeros((9, 9, 3), np.uint8), Preprocess(400, 300), HeatMap(SMALL, "red", 1), "")
    assert overlay.size == (600, 400 + CAPTION)


def test_what_is_no_image_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        draw_overlay(b"no image", Preprocess(12, 16), HeatMap(SMALL, "red", 1), "")


def test_a_name_in_another_script_is_no_crash() -> None:
    overlay = draw_overlay(np.zeros((9, 9, 3), np.uint8), Preprocess(12, 16), HeatMap(SMALL, "红", 1), "红, 99.0%")
    assert isinstance(overlay, Image.Image)
