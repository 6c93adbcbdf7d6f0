"""Kinds of file: HEIC where it can be read, and a reason that says what to do for what is never read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from deepfiles import tiff
from heic import CLEAR, HEIC
from PIL import Image

from mango_grader.errors import ImageError
from mango_grader.runtime.images.decode import decode

PREVIEW = np.full((12, 16, 3), 90, np.uint8)
RAW = {
    "canon.cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(64), "canon.cr3": b"\0\0\0\x18ftypcrx " + bytes(64),
    "canon.crw": b"II\x1a\0\0\0HEAPCCDR" + bytes(64), "fuji.raf": b"FUJIFILMCCD-RAW 0201" + bytes(64),
    "olympus.orf": b"IIRO\x08\0\0\0" + bytes(64), "panasonic.rw2": b"IIU\0\x18\0\0\0" + bytes(64),
    "adobe.dng": tiff(PREVIEW, {50706: 0x0401}), "nikon.nef": tiff(PREVIEW, {254: 1, 330: 8}),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_camera_raw_is_named_and_its_preview_is_not_graded(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(RAW[name])
    for source in (tmp_path / name, RAW[name]):
        with pytest.raises(ImageError, match="a camera raw file, which is not read; develop it to JPEG"):
            decode(source)


@pytest.mark.parametrize("head", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_jpeg_xl_is_named(head: bytes) -> None:
    with pytest.raises(ImageError, match="a JPEG XL image, which is not read; convert it"):
        decode(head + bytes(100))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"8BPS\0\1" + bytes(99), "a Photoshop document"), (b"%PDF-1.4" + bytes(99), "a PDF document"),
        (b"\0\0\0\x18ftypmp42" + bytes(99), "a film, not an image"),
        (tiff(PREVIEW.astype(np.float32)), "save it with 8 or 16 bits per channel"),
    ],
)  # fmt: skip
def test_other_kinds_of_file_are_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(data)


def test_heic_is_read_and_upright_once() -> None:
    pytest.importorskip("pi_heif")
    image = decode(HEIC)
    assert image.size == (48, 64)
    quarters = [image.getpixel(place) for place in ((12, 16), (36, 16), (12, 48), (36, 48))]
    # The stored quarters are red, green, blue, yellow; turned clockwise, blue comes to the upper left.
    wanted = [(0, 0, 250), (250, 0, 0), (250, 250, 0), (0, 250, 0)]
    assert np.abs(np.subtract(quarters, wanted)).max() < 40


def test_transparent_heic_lies_over_the_fill() -> None:
    pytest.importorskip("pi_heif")
    image = decode(CLEAR, (10, 200, 10))
    assert np.abs(np.subtract(image.getpixel((10, 24)), (10, 200, 10))).max() < 30
    assert np.abs(np.subtract(image.getpixel((54, 24)), (200, 40, 30))).max() < 30


@pytest.mark.parametrize("place", ["Exif", "hvc1"])
def test_heic_whose_header_holds_no_text_does_not_end_the_process(place: str) -> None:
    damaged = HEIC.replace(place.encode(), b"\xff\xff\xff\xff", 1)
    code = (
        "import sys\nfrom mango_grader.errors import ImageError\n"
        "from mango_grader.runtime.images.decode import decode\n"
        "try:\n    decode(sys.stdin.buffer.read())\nexcept ImageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=damaged, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith((b"damaged or incomplete: ", b"a HEIC image; run: pip install"))


def test_heic_is_not_registered_with_pillow_by_reading_it() -> None:
    pytest.importorskip("pi_heif")
    decode(HEIC)
    assert "HEIF" not in Image.OPEN


def test_heic_without_its_reader_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)  # As if it were not there.
    with pytest.raises(ImageError) as refused:
        decode(HEIC)
    assert str(refused.value) == "a HEIC image; run: pip install 'mango-grader[heic]', or convert it to JPEG"


@pytest.mark.parametrize("cut", [40, 300, 600])
def test_damaged_heic_is_an_image_error(cut: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError):
        decode(HEIC[:cut])
    assert capfd.readouterr() == ("", "")
