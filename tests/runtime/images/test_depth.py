"""Images of 10, 12, 16 and 32 bits and floats: as bright as they were taken, or refused with the reason."""

import io
from pathlib import Path

import numpy as np
import pytest
from deepfiles import MAX, S_MAX, S_MIN, pgm, png, tiff
from numpy.typing import NDArray
from PIL import Image

from mango_grader.errors import ImageError
from mango_grader.runtime.images.decode import decode, decode_with_warning
from mango_grader.runtime.images.preprocess import Preprocess

RAMP = np.linspace(0, 1, 24 * 32).reshape(24, 32)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)


def deep(values: NDArray[np.float64], bits: int) -> NDArray[np.uint16]:
    return np.rint(values * (2**bits - 1)).astype(np.uint16)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def assert_bright(data: bytes, wanted: NDArray[np.float64]) -> None:
    found = decode_with_warning(data)
    pixels = np.asarray(found.image).astype(float)
    expected = wanted if wanted.ndim == 3 else np.repeat(wanted[:, :, None], 3, axis=2)
    assert np.abs(pixels - expected * 255).max() <= 1.01
    assert found.warning is None


@pytest.mark.parametrize("values", [RAMP, COLOURS], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_values_of_a_declared_depth_are_scaled_by_it(bits: int, values: NDArray[np.float64]) -> None:
    taken, white = deep(values, bits), 2**bits - 1
    assert_bright(png(taken, bits), values)
    assert_bright(tiff(taken, {S_MAX: white}), values)
    assert_bright(tiff(taken, {MAX: white - 3}), values)  # The brightest value that occurs.
    assert_bright(pgm(taken, white), values)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("opaque", [1023, 65535])
def test_alpha_of_a_declared_depth_is_no_shadow(channels: int, opaque: int) -> None:
    values = RAMP[:, :, None] if channels == 2 else COLOURS
    alpha = np.full((*RAMP.shape, 1), opaque, np.uint16)
    assert_bright(png(np.concatenate([deep(values, 10), alpha], axis=2), 10), np.broadcast_to(values, COLOURS.shape))


def test_a_correct_png_whose_values_were_scaled_is_not_scaled_again() -> None:
    dark = (deep(RAMP / 16, 12).astype(int) << 4).astype(np.uint16)
    assert np.asarray(decode(png(dark, 12))).max() <= 16
    assert_bright(png((deep(COLOURS, 10).astype(int) << 6).astype(np.uint16), 10), COLOURS)


@pytest.mark.parametrize("values", [RAMP, COLOURS], ids=["grey", "colour"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_values_of_an_unknown_depth_are_refused_instead_of_read_as_black(
    bits: int, values: NDArray[np.float64], tmp_path: Path
) -> None:
    taken = deep(values, bits)
    path = tmp_path / "belt.jp2"
    if values.ndim == 2:
        Image.fromarray(taken).save(path)
    else:
        path.write_bytes(png(taken))
    sources = [png(taken), tiff(taken), tiff(taken, {MAX: 65535}), pgm(taken, 65535), path, taken, taken.astype(">u2")]
    for source in [*sources, tiff(taken.astype(np.int32))] if values.ndim == 2 else sources:
        with pytest.raises(ImageError, match="their range is unknown"):
            Preprocess(8, 8)(source)


@pytest.mark.parametrize("values", [RAMP, COLOURS], ids=["grey", "colour"])
def test_values_of_at_most_14_bits_get_a_warning(values: NDArray[np.float64]) -> None:
    taken = deep(values, 14)
    for source in (png(taken), tiff(taken), taken):
        prepared = Preprocess(8, 8).prepare(source)
        assert prepared.warning == "16-bit values of at most 16383 were read as if white were 65535: too dark " \
            "unless that is so"  # fmt: skip


@pytest.mark.parametrize("values", [RAMP, COLOURS], ids=["grey", "colour"])
def test_values_of_16_bits_stay_as_they_were(values: NDArray[np.float64]) -> None:
    taken = deep(values, 16)
    for source in (png(taken), tiff(taken), pgm(taken, 65535)):
        assert_bright(source, values)
    assert np.array_equal(np.asarray(decode(png(taken))), np.asarray(decode(taken)))


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_floats_are_as_bright_as_their_range_says(white: int) -> None:
    taken = (RAMP * white).astype(np.float32)
    assert_bright(tiff(taken), RAMP)
    assert_bright(saved(Image.fromarray(taken), "PPM"), RAMP)
    assert_bright(tiff(taken * 4, {S_MAX: 4.0 * white}), RAMP)


def test_floats_around_zero_need_a_declared_range() -> None:
    taken = (RAMP - 0.5).astype(np.float32)
    with pytest.raises(ImageError, match=r"floats from -0\.5 to 0\.5"):
        decode(tiff(taken))
    assert_bright(tiff(taken, {S_MIN: -0.5, S_MAX: 0.5}), RAMP)


@pytest.mark.parametrize("white", [0.01, 1.02, 10, 300, 1e6])
def test_floats_of_an_unknown_range_are_refused(white: float) -> None:
    with pytest.raises(ImageError, match="floats"):
        decode(tiff((RAMP * white).astype(np.float32)))


def test_integers_of_32_bits_need_a_declared_range() -> None:
    taken = (RAMP * (2**31 - 1)).astype(np.int32)
    with pytest.raises(ImageError, match="value of white is unknown"):
        decode(tiff(taken))
    assert_bright(tiff(taken, {S_MAX: 2**31 - 1}), RAMP)
    with pytest.raises(ImageError, match="value of white is unknown"):
        decode(tiff(taken - 2**30))


def test_signed_16_bits_have_half_the_range() -> None:
    assert_bright(tiff(deep(RAMP, 15).astype(np.int16)), RAMP)


def test_a_declaration_that_the_values_contradict_counts_for_nothing() -> None:
    assert_bright(tiff(deep(RAMP, 16), {S_MAX: 1023}), RAMP)
    assert_bright(tiff(deep(COLOURS, 16), {S_MAX: 1023}), COLOURS)
    with pytest.raises(ImageError, match="range is unknown"):
        decode(tiff(deep(COLOURS, 12), {MAX: 1}))


def test_white_is_zero_is_no_negative_in_16_bits() -> None:
    taken = deep(RAMP, 16)
    data = saved(Image.fromarray(0xFFFF - taken), "TIFF", tiffinfo={262: 0})
    assert_bright(data, RAMP)


@pytest.mark.parametrize("deflated", [False, True])
def test_separate_planes_of_16_bits_are_not_read_as_noise(deflated: bool) -> None:
    assert_bright(tiff(deep(COLOURS, 16), planar=True, deflated=deflated), COLOURS)
    with pytest.raises(ImageError, match="range is unknown"):
        decode(tiff(deep(COLOURS, 12), planar=True, deflated=deflated))


def test_separate_planes_of_a_declared_depth_are_scaled_or_refused() -> None:
    assert_bright(tiff(deep(COLOURS, 12), {S_MAX: 4095}, planar=True), COLOURS)
    with pytest.raises(ImageError, match="unusual layout"):
        decode(tiff(deep(COLOURS, 12), {S_MAX: 4095}, planar=True, deflated=True))


@pytest.mark.parametrize("values", [RAMP, COLOURS], ids=["grey", "colour"])
def test_compressed_files_are_scaled_as_plain_ones(values: NDArray[np.float64]) -> None:
    assert_bright(tiff(deep(values, 12), {S_MAX: 4095}, deflated=True), values)
    with pytest.raises(ImageError, match="range is unknown"):
        decode(tiff(deep(values, 12), deflated=True))


def test_an_opened_image_is_scaled_as_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(deep(RAMP, 12), 12))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(decode(image)), np.asarray(decode(tmp_path / "a.png")))
