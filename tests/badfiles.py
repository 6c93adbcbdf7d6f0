"""Folders of everything that turns up among fruit photos and is none, and of odd images that must still work."""

import io
import os
import pickle
import random
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, features

_GARBAGE = random.Random(0).randbytes(4096)


def make_bad_files(folder: Path) -> list[str]:
    """Make 40 entries in `folder`, none of which can be graded; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in _contents().items():
        (folder / name).write_bytes(data)
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).write_bytes(_GARBAGE)
    locked = folder / "locked.jpg"
    locked.write_bytes(_GARBAGE)
    locked.chmod(0)
    (folder / "folder.jpg").mkdir()
    (folder / "broken_link.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(folder / "fifo.jpg")
    _bind(folder / "socket.jpg")
    paths = sorted(str(path) for path in folder.iterdir())
    assert len(paths) == 40, len(paths)
    return paths


def make_odd_files(folder: Path, pixels: np.ndarray) -> list[str]:
    """Write one RGB image `pixels` (H, W, 3) in every odd but legal way; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rgb = Image.fromarray(pixels)
    grey = np.asarray(rgb.convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.convert("YCbCr").save(folder / "ycbcr.tif")
    rgb.convert("P").save(folder / "palette.png")
    rgb.convert("P").save(folder / "palette_clear.png", transparency=0)
    rgb.convert("1").save(folder / "one_bit.png")
    rgb.convert("LA").save(folder / "grey_alpha.png")
    rgb.convert("RGBA").save(folder / "alpha.webp")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "sixteen.png")
    Image.fromarray(grey.astype(np.float32)).save(folder / "float.tif")
    rgb.save(folder / "progressive.jpeg", progressive=True)
    rgb.save(folder / "turned.jpg", exif=exif)
    rgb.save(folder / "bad_exif.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + _GARBAGE[:64])
    rgb.save(folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", rgb.size, "blue")])
    rgb.save(folder / "UPPER.JPG")
    rgb.save(folder / "no_extension", "PNG")
    rgb.save(folder / "really_a_png.jpg", "PNG")
    rgb.save(folder / "two images.mpo", save_all=True, append_images=[rgb])
    rgb.resize((1, 1)).save(folder / "one_pixel.png")
    rgb.resize((3000, 1)).save(folder / "line.png")
    rgb.save(folder / "芒果🥭.png")
    return sorted(str(path) for path in folder.iterdir())


def textured(kind: str, **options: object) -> bytes:
    """Return an encoded image with some texture."""
    values = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def _half(kind: str, **options: object) -> bytes:
    data = textured(kind, **options)
    return data[: len(data) // 2]


def _contents() -> dict[str, bytes]:
    png = textured("PNG")
    kinds: dict[str, Callable[[], bytes]] = {
        "empty.jpg": lambda: b"",
        "text.jpg": lambda: b"this is no image\n",
        "random.png": lambda: _GARBAGE,
        "zeros.jpg": lambda: bytes(4096),
        "half.jpg": lambda: _half("JPEG"),
        "half_progressive.jpg": lambda: _half("JPEG", progressive=True),
        "head.jpg": lambda: textured("JPEG")[:2],
        "half.png": lambda: _half("PNG"),
        "head.png": lambda: png[:8],
        "bad_crc.png": lambda: png[:60] + bytes(8) + png[68:],
        "half.gif": lambda: _half("GIF"),
        "half.webp": lambda: _half("WEBP"),
        "half.tif": lambda: _half("TIFF"),
        "half.bmp": lambda: _half("BMP"),
        "half.ppm": lambda: _half("PPM"),
        "half.jp2": lambda: _half("JPEG2000") if features.check("jpg_2000") else b"\x00\x00\x00\x0cjP  ",
        "half.avif": lambda: _half("AVIF") if features.check("avif") else b"\x00\x00\x00\x1cftypavif",
        "not_finite.tif": _not_finite,
        "bomb.png": _bomb,
        "no_pixels.bmp": lambda: textured("BMP")[:18] + struct.pack("<ii", 0, 0) + textured("BMP")[26:],
        "drawing.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        "drawing.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "page.html.png": lambda: b"<!doctype html><title>404</title>",
        "paper.pdf": lambda: b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
        "film.mp4": lambda: b"\x00\x00\x00\x18ftypmp42" + _GARBAGE,
        "archive.jpg": _archive,
        "weights.pkl": lambda: pickle.dumps({"never": "loaded"}),
        "labels.csv": lambda: b"image_id,label\n1.jpg,A\n",
        "new\nline.jpg": lambda: _GARBAGE,
        '-x, "quoted".jpg': lambda: _GARBAGE,
        "=1+1.jpg": lambda: _GARBAGE,
        "<b>[red]&amp;.jpg": lambda: _GARBAGE,
        "n" * 250 + ".jpg": lambda: _GARBAGE,
    }
    return {name: make() for name, make in kinds.items()}


def _not_finite() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


def _bomb() -> bytes:
    """Return a small PNG that announces 60000 × 60000 pixels."""
    size = 60_000
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + size // 8)) for _ in range(200)) + packer.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", size, size, 1, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inside.jpg", textured("JPEG"))
    return buffer.getvalue()


def _bind(path: Path) -> None:
    # A socket's path may not be long, so it is bound by its name alone.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)
