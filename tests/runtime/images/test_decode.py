import io
import os
import tempfile
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from badfiles import make_bad_files, make_odd_files, textured
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from mango_grader.errors import ImageError
from mango_grader.runtime.images.decode import MAX_PIXELS, decode, scaled

ORIENTATION = 0x0112
FILL = (114, 114, 114)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def quarters() -> Image.Image:
    """Four different quarters on 40 × 24 pixels: every flip and turn of it looks different."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:], pixels[12:, :20] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_in_every_format(quarters: Image.Image, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    data = encoded(quarters, kind, exif=exif, **lossless)
    with Image.open(io.BytesIO(data)) as image:
        wanted = ImageOps.exif_transpose(image).convert("RGB")
    assert decode(data).size == wanted.size
    assert np.array_equal(np.asarray(decode(data)), np.asarray(wanted))


def test_a_decoded_pil_image_is_turned_by_its_exif_too(quarters: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    with Image.open(io.BytesIO(encoded(quarters, exif=exif))) as image:
        assert decode(image).size == (24, 40)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "LA", "PA", "RGBX"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = decode(Image.new(mode, (5, 4)))
    assert (image.mode, image.size) == ("RGB", (5, 4))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I"])
def test_sixteen_bits_are_scaled_not_clipped(mode: str) -> None:
    values = np.array([[0, 255, 256, 0x1234, 0xFFFF]])
    dtype = {"I;16B": ">u2", "I": "i4"}.get(mode, "<u2")
    image = Image.frombytes(mode, (5, 1), values.astype(dtype).tobytes())
    assert np.asarray(decode(image))[0, :, 0].tolist() == [0, 0, 1, 0x12, 0xFF]


def test_sixteen_bit_files_and_arrays_agree(tmp_path: Path) -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.array_equal(np.asarray(decode(tmp_path / "deep.png")), np.asarray(decode(values)))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "La"])
def test_transparency_lies_over_the_fill(mode: str) -> None:
    clear = Image.new(mode, (3, 3))
    assert decode(clear, (10, 20, 30)).getpixel((1, 1)) == (10, 20, 30)


def test_half_transparent_white_is_half_way() -> None:
    image = decode(Image.new("RGBA", (1, 1), (255, 255, 255, 128)), (0, 0, 0))
    assert image.getpixel((0, 0)) == pytest.approx((128, 128, 128), abs=1)


def test_a_transparent_palette_colour_lies_over_the_fill() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.putpixel((1, 0), 1)
    decoded = decode(encoded(image, "GIF", transparency=0), FILL)
    assert [decoded.getpixel((0, 0)), decoded.getpixel((1, 0))] == [FILL, (200, 0, 0)]


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data).getpixel((0, 0)) == (255, 0, 0)


def test_a_large_jpeg_is_decoded_small_but_not_below_what_is_needed() -> None:
    data = encoded(Image.new("RGB", (1600, 800), "green"), "JPEG")
    assert decode(data).size == (1600, 800)
    assert decode(data, FILL, lambda *size: scaled(*size, (390, 390))).size == (400, 200)
    assert decode(data, FILL, lambda *size: scaled(*size, (410, 410))).size == (800, 400)


def test_a_turned_jpeg_is_reduced_by_its_upright_size() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encoded(Image.new("RGB", (1600, 800), "green"), "JPEG", exif=exif)
    seen = []

    def needed(width: int, height: int) -> tuple[int, int]:
        seen.append((width, height))
        return 390, 780

    assert decode(data, FILL, needed).size == (400, 800)
    assert seen == [(800, 1600)]


@pytest.mark.parametrize("shape", [(0, 4), (4,), (4, 4, 2), (4, 4, 5), (0, 4, 3), (1, 4, 4, 3)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="array of shape"):
        decode(np.zeros(shape, np.uint8))


def test_arrays_of_other_types_are_refused() -> None:
    with pytest.raises(ImageError, match="float32"):
        decode(np.zeros((4, 4, 3), np.float32))


@pytest.mark.parametrize("source", [3, None, object(), 1.5, ["a.jpg"]])
def test_things_that_are_no_images_are_refused_by_type(source: object) -> None:
    with pytest.raises(ImageError, match="cannot read an image from"):
        decode(source)  # type: ignore[arg-type]


def test_a_number_does_not_open_that_file_descriptor(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(textured("PNG"))
    with (tmp_path / "real.png").open("rb") as file, pytest.raises(ImageError, match="int"):
        decode(file.fileno())  # type: ignore[arg-type]


def test_the_pixel_limit_does_not_depend_on_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = encoded(Image.new("1", (MAX_PIXELS // 1000 + 1, 1000)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="too large"):
        decode(wide)


def test_bad_files_give_one_line_reasons_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in make_bad_files(tmp_path / "bad"):
        with pytest.raises(ImageError) as caught:
            decode(path)
        reason = str(caught.value)
        assert reason.strip() == reason != ""
        assert "\n" not in reason
        assert "0x" not in reason, "a memory address would differ from run to run"
    assert capfd.readouterr() == ("", "")


def test_odd_files_decode_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = make_odd_files(tmp_path / "odd", np.full((48, 64, 3), (200, 40, 30), np.uint8))
    assert len(paths) >= 20
    for path in paths:
        assert decode(path).mode == "RGB"
    assert decode(tmp_path / "odd" / "turned.jpg").size == (48, 64)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"]), data=st.data())
def test_a_damaged_file_decodes_or_raises_image_error(kind: str, data: st.DataObject) -> None:
    sound = bytearray(textured(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ImageError):  # Anything else is a failure.
        assert decode(bytes(sound)).mode == "RGB"


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    noisy = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    before = list(warnings.filters)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                decode(noisy)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert warnings.filters == before


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 300), st.integers(1, 300))
def test_scaled_fits_and_touches_the_box(width: int, height: int, box_width: int, box_height: int) -> None:
    fitted = scaled(width, height, (box_width, box_height))
    assert 1 <= fitted[0] <= box_width
    assert 1 <= fitted[1] <= box_height
    assert fitted[0] == box_width or fitted[1] == box_height


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"])
def test_damaged_tiffs_print_nothing_on_the_terminal(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    image = Image.open(io.BytesIO(textured("PNG")))
    data = encoded(image.convert("1") if compression == "group4" else image, "TIFF", compression=compression)
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(8, len(damaged), 3)] = rng.integers(0, 256, 3)
        with suppress(ImageError):
            decode(damaged.tobytes())
    assert capfd.readouterr() == ("", "")


def test_binary_files_and_buffers_are_decoded(tmp_path: Path) -> None:
    data = textured("PNG")
    (tmp_path / "a.png").write_bytes(data)
    wanted = np.asarray(decode(data))
    written = io.BytesIO()
    written.write(data)  # Stands at its end, as after Pillow's save.
    reading, writing = os.pipe()
    os.write(writing, data[:60])
    os.close(writing)
    with (tmp_path / "a.png").open("rb") as file, os.fdopen(reading, "rb") as pipe, tempfile.TemporaryFile() as spooled:
        spooled.write(data)
        for source in (written, io.BytesIO(data), file, spooled, memoryview(data), bytearray(data)):
            assert np.array_equal(np.asarray(decode(source)), wanted)
        with pytest.raises(ImageError):  # It cannot seek, and holds the first 60 bytes.
            decode(pipe)


def test_files_that_hold_no_bytes_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(textured("PNG"))
    with (tmp_path / "a.png").open(encoding="latin-1") as text, pytest.raises(ImageError, match="binary mode"):
        decode(text)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="empty file"):
        decode(io.BytesIO())
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(ImageError, match="closed"):
        decode(closed)


def test_damage_is_called_so() -> None:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
        data = textured(kind)
        with pytest.raises(ImageError, match=r"^damaged or incomplete: "):
            decode(data[: len(data) // 2])
