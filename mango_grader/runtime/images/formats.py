"""The kinds of image file: those that are read, and those that are only recognised, with how to convert them."""

from functools import cache
from typing import BinaryIO

import PIL
from PIL import Image, UnidentifiedImageError

from mango_grader.errors import ImageError
from mango_grader.runtime.images.heif import heif_reader, open_heif

__all__ = ["known_formats", "open_image", "readers"]

# Only formats that Pillow reads by itself and recognises by their first bytes; EPS would start Ghostscript.
_FORMATS = (
    "JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "ICO",
)  # fmt: skip
_HEAD = 32
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_RAW = {b"FUJIFILMCCD-RAW": 0, b"IIRO": 0, b"IIRS": 0, b"MMOR": 0, b"IIU\0": 0, b"\0MRM": 0, b"FOVb": 0,
        b"HEAPCCDR": 6, b"CR\2\0": 8, b"ftypcrx ": 4}  # fmt: skip
_OTHERS = {
    b"8BPS": "a Photoshop document", b"%PDF": "a PDF document", b"%!PS": "a PostScript drawing",
    b"<svg": "an SVG drawing", b"qoif": "a QOI image", b"v/1\x01": "an OpenEXR image",
    b"#?RADIANCE": "a Radiance image", b"SIMPLE  =": "a FITS image",
}  # fmt: skip
_FILMS = (b"qt  ", b"isom", b"iso2", b"mp41", b"mp42", b"M4V ", b"avc1")
_DNG_VERSION, _SUB_FILE, _SUB_FILES = 50706, 254, 330  # TIFF tags.
_REDUCED = 1


@cache
def known_formats() -> list[str]:
    """Return the formats that Pillow reads here; the first call loads its plugins (a tenth of a second)."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def readers() -> list[str]:
    """Return the libraries that read images here, with their versions; others may read other files, or other pixels."""
    return [f"pillow {PIL.__version__}", *filter(None, [heif_reader()])]


def open_image(file: BinaryIO) -> Image.Image:
    """Open an image without decoding it.

    Args:
        file: opened in binary mode, and seekable.

    Raises:
        ImageError: with the reason, if the file is of a kind that is not read. Damaged files of a known kind raise
            whatever Pillow raises.
    """
    file.seek(0)
    head = file.read(_HEAD)
    if head.startswith(_JXL):
        raise ImageError("a JPEG XL image, which is not read; convert it to PNG or JPEG, for example with djxl")
    if any(head.startswith(magic, start) for magic, start in _RAW.items()):
        raise _raw()
    file.seek(0)
    try:
        image = Image.open(file, formats=known_formats())
    except UnidentifiedImageError:
        return _open_other(file, head)
    if image.format == "TIFF" and _is_raw(image):
        raise _raw()
    return image


def _open_other(file: BinaryIO, head: bytes) -> Image.Image:
    """Open HEIC if it can be read here, which Pillow does not know; raise `ImageError` with the reason otherwise."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in _HEIF:
        file.seek(0)
        return open_heif(file.read())
    if brand in (b"avif", b"avis"):
        raise ImageError("an AVIF image that is damaged, or that this Pillow cannot read; convert it to PNG or JPEG")
    if brand in _FILMS:
        raise ImageError("a film, not an image; save single frames as PNG or JPEG")
    if head.startswith(_TIFF):
        raise ImageError("a TIFF that is damaged, or of a kind that is not read; save it with 8 or 16 bits per channel")
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise ImageError(f"{name}, which is not read; convert it to PNG or JPEG")
    raise ImageError("not an image in a known format")


def _is_raw(image: Image.Image) -> bool:
    """Return whether a TIFF is a camera's raw file, of which Pillow would show the small preview."""
    tags = getattr(image, "tag_v2", {})
    kind = tags.get(_SUB_FILE)
    preview = isinstance(kind, int) and bool(kind & _REDUCED) and _SUB_FILES in tags
    return _DNG_VERSION in tags or preview


def _raw() -> ImageError:
    return ImageError("a camera raw file, which is not read; develop it to JPEG or TIFF, or let the camera save JPEG")
