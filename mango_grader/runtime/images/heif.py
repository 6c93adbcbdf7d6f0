"""HEIC and HEIF photos, where the extra `heic` is installed."""

import io
import struct
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec

from PIL import Image

from mango_grader.errors import ImageError

__all__ = ["heif_reader", "open_heif"]

_READER = "pi_heif"


def heif_reader() -> str | None:
    """Return the name and version of the library that reads HEIC here, or None."""
    return None if find_spec(_READER) is None else f"{_READER} {version(_READER)}"


def open_heif(data: bytes) -> Image.Image:
    """Open an encoded HEIC or HEIF image; its reader turns it upright.

    Args:
        data: the whole file.

    Raises:
        ImageError: if the extra is not installed, or the file is damaged.
    """
    if heif_reader() is None:
        raise ImageError("a HEIC image; run: pip install 'mango-grader[heic]', or convert it to JPEG")
    from pi_heif.as_plugin import HeifImageFile  # Not registered with Pillow: an application may have its own reader.

    for text in _texts(data):
        try:
            text.decode()
        except UnicodeDecodeError:  # pi_heif 1.4.0 would end the process by a segmentation fault.
            raise ImageError("damaged or incomplete: a name in its HEIF header is not text") from None
    image: Image.Image = HeifImageFile(io.BytesIO(data))
    return image


def _texts(data: bytes) -> Iterator[bytes]:
    """Yield what pi_heif reads as text: types of items and of auxiliary images, of `mime` items also their content."""
    meta = _box(data, b"meta")
    for place in _places(meta, b"infe"):
        size = int.from_bytes(meta[place - 4 : place], "big")
        content = meta[place + 4 : max(place, place - 4 + size)]
        kind = content[10:] if content[:1] == b"\3" else content[8:]
        yield kind if kind.startswith(b"mime") else kind[:4]
    for place in _places(meta, b"auxC"):
        yield meta[place + 8 :].split(b"\0", 1)[0]


def _box(data: bytes, name: bytes) -> bytes:
    """Return the first box of that name at the top level of an ISO media file, b"" if there is none."""
    start = 0
    while start + 8 <= len(data):
        size, found = struct.unpack_from(">I4s", data, start)
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        end = start + size if size >= 8 else len(data)
        if found == name:
            return data[start:end]
        start = end
    return b""


def _places(data: bytes, name: bytes) -> Iterator[int]:
    place = data.find(name, 4)
    while place >= 0:
        yield place
        place = data.find(name, place + 4)
