import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mango_grader.errors import ImageError
from mango_grader.runtime.images.preprocess import Preprocess, one_colour


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), source=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    turn=st.booleans(),
)  # fmt: skip
def test_any_size_becomes_the_asked_one(height: int, width: int, source: tuple[int, int], turn: bool) -> None:
    pixels = Preprocess(height, width, turn)(np.full((*source, 3), 7, np.uint8))
    assert (pixels.shape, pixels.dtype) == ((height, width, 3), np.uint8)
    assert set(np.unique(pixels)) <= {7, 114}
    assert (pixels == 7).any()


def test_the_shape_is_kept_and_the_rest_filled() -> None:
    pixels = Preprocess(30, 40, fill=(1, 2, 3))(np.full((10, 40, 3), 200, np.uint8))
    assert (pixels[10:20] == 200).all()
    assert (pixels[:10] == (1, 2, 3)).all()
    assert (pixels[20:] == (1, 2, 3)).all()


def test_portrait_images_are_turned_only_when_asked() -> None:
    portrait = np.zeros((40, 30, 3), np.uint8)
    portrait[:20] = 255  # white above black
    turned = Preprocess(30, 40, rotate_portrait=True)(portrait)
    assert (turned[:, :20] == 255).all()
    assert (turned[:, 20:] == 0).all()
    assert (Preprocess(30, 40)(portrait)[:, 0] == 114).all()


def test_landscape_images_are_never_turned() -> None:
    landscape = np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3)
    assert np.array_equal(Preprocess(30, 40, rotate_portrait=True)(landscape), landscape)


def test_all_kinds_of_source_agree(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(buffer.getvalue())
    fit = Preprocess(24, 32)
    answers = [fit(source) for source in (pixels, image, buffer.getvalue(), path, str(path))]
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


def test_the_caller_keeps_its_image_as_it_was() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    before = pixels.copy()
    Preprocess(24, 32)(pixels)[:] = 0
    assert np.array_equal(pixels, before)


def test_a_reduced_jpeg_differs_little_from_a_whole_one() -> None:
    ramp = np.linspace(0, 255, 1024, dtype=np.uint8)
    pixels = np.stack([np.tile(ramp, (768, 1)), np.tile(ramp[:768, None], (1, 1024)), np.full((768, 1024), 90)], 2)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=95)
    fit = Preprocess(48, 64)
    reduced = fit(buffer.getvalue()).astype(int)
    whole = fit(pixels.astype(np.uint8)).astype(int)
    assert np.abs(reduced - whole).max() <= 8


@pytest.mark.parametrize("options", [{"height": 0}, {"width": -1}, {"fill": (0, 0, 256)}, {"fill": (0, 0)}])
def test_settings_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Preprocess(**({"height": 4, "width": 4} | options))  # type: ignore[arg-type]


def test_a_bad_image_raises_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        Preprocess(4, 4)(tmp_path / "missing.png")


def frame() -> np.ndarray:
    """Return a smooth frame of 300 × 400 pixels with some noise, as a camera gives it."""
    rows, columns = np.mgrid[:300, :400]
    noise = np.random.default_rng(0).integers(0, 30, (300, 400, 3))
    return (np.stack([rows * 0.7, columns * 0.5, (rows + columns) * 0.3], 2) + noise).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("turn", [False, True])
def test_parts_of_a_frame_that_is_decoded_once_equal_parts_that_are_saved_alone(kind: str, turn: bool) -> None:
    buffer = io.BytesIO()
    Image.fromarray(frame()).save(buffer, kind)
    preprocess = Preprocess(24, 32, turn)
    whole = np.asarray(preprocess.decode(buffer.getvalue(), exact=True).image)
    for top, bottom, left, right in [(0, 100, 0, 100), (50, 250, 10, 60), (299, 300, 0, 400), (10, 34, 20, 52)]:
        crop = whole[top:bottom, left:right]
        alone = io.BytesIO()
        Image.fromarray(crop).save(alone, "PNG")
        fitted, saved = preprocess.fit(crop), preprocess.prepare(alone.getvalue())
        assert np.array_equal(fitted.pixels, saved.pixels)
        assert fitted.warning == saved.warning


@pytest.mark.parametrize("exact", [False, True])
def test_a_call_is_decoding_and_fitting(exact: bool) -> None:
    buffer = io.BytesIO()
    Image.fromarray(frame()).save(buffer, "JPEG")
    preprocess = Preprocess(24, 32)
    decoded = preprocess.decode(buffer.getvalue(), exact=exact)
    assert decoded.image.size == ((400, 300) if exact else (100, 75)), "reduced as far as twice the network's input"
    assert np.array_equal(preprocess.fit(decoded.image).pixels, preprocess(buffer.getvalue(), exact=exact))


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (6, 4, 4)])
def test_a_part_of_any_shape_is_fitted_as_an_array_is_prepared(shape: tuple[int, ...]) -> None:
    part = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    preprocess = Preprocess(8, 8, fill=(250, 0, 0))
    assert np.array_equal(preprocess.fit(part).pixels, preprocess(part))


@pytest.mark.parametrize("crop", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 3)), np.zeros((5, 5, 2), np.uint8)])
def test_a_part_that_is_no_image_is_refused(crop: np.ndarray) -> None:
    with pytest.raises(ImageError, match="array of"):
        Preprocess(4, 4).fit(crop)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=7))
def test_an_image_of_few_colours_is_one_colour_if_all_are_close_to_numpys_median(
    colours: list[tuple[int, int, int]],
) -> None:
    pixels = np.array([colours], np.uint8)
    middle = np.median(pixels[0], axis=0).astype(int)
    close = (np.abs(pixels[0].astype(int) - middle) <= 4).all()
    warning = one_colour(pixels)
    assert (warning is not None) == close
    assert warning is None or f"red {middle[0]}, green {middle[1]}, blue {middle[2]} of" in warning
