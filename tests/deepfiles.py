"""Encoded images of 16 bits and more with the tags that say how deep they are, as cameras write them."""

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

S_MIN, S_MAX, MAX = 340, 341, 281

_FORMATS = {"u": 1, "i": 2, "f": 3}
_KINDS = {int: (4, "I"), float: (11, "f")}  # TIFF's LONG and FLOAT.


def tiff(
    values: NDArray[np.generic],
    tags: Mapping[int, float] | None = None,
    *,
    planar: bool = False,
    deflated: bool = False,
) -> bytes:
    """Return a TIFF of `values`, (H, W) or (H, W, 3), in their own type, with further `tags`."""
    height, width, *rest = values.shape
    channels = rest[0] if rest else 1
    bits = values.dtype.itemsize * 8
    stored = values.astype(values.dtype.newbyteorder("<"))
    planes = [plane.tobytes() for plane in stored.transpose(2, 0, 1)] if planar else [stored.tobytes()]
    planes = [zlib.compress(plane) for plane in planes] if deflated else planes
    entries: dict[int, tuple[int, int, bytes]] = {
        256: _longs(width), 257: _longs(height), 258: _shorts(*[bits] * channels), 259: _shorts(8 if deflated else 1),
        262: _shorts(2 if channels == 3 else 1), 277: _shorts(channels), 278: _longs(height),
        284: _shorts(2 if planar else 1), 339: _shorts(*[_FORMATS[values.dtype.kind]] * channels),
    }  # fmt: skip
    for tag, value in (tags or {}).items():
        kind, code = _KINDS[type(value)]
        entries[tag] = kind, channels, struct.pack(f"<{channels}{code}", *[value] * channels)
    sizes = [len(plane) for plane in planes]
    entries[273] = entries[279] = _longs(*sizes)
    start = 8 + 2 + 12 * len(entries) + 4
    first = start + sum(len(content) for _, _, content in entries.values() if len(content) > 4)
    entries[273] = _longs(*[first + sum(sizes[:number]) for number in range(len(sizes))])
    table, beyond = b"", b""
    for tag, (kind, count, content) in sorted(entries.items()):
        inside = content.ljust(4, b"\0")
        if len(content) > 4:
            inside = struct.pack("<I", start + len(beyond))
            beyond += content
        table += struct.pack("<HHI", tag, kind, count) + inside
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + beyond + b"".join(planes)


def png(values: NDArray[np.uint16], significant: int | None = None) -> bytes:
    """Return a 16-bit PNG of `values`, (H, W) or (H, W, 2 to 4), with sBIT `significant` if it is given."""
    height, width, *rest = values.shape
    channels = rest[0] if rest else 1
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))]
    if significant is not None:
        chunks.append((b"sBIT", bytes([significant] * channels)))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def pgm(values: NDArray[np.uint16], maximum: int) -> bytes:
    """Return a binary PGM or PPM of `values`, (H, W) or (H, W, 3), with two bytes a value."""
    kind = b"P6" if values.ndim == 3 else b"P5"
    return kind + b"\n%d %d\n%d\n" % (values.shape[1], values.shape[0], maximum) + values.astype(">u2").tobytes()


def _shorts(*values: int) -> tuple[int, int, bytes]:
    return 3, len(values), struct.pack(f"<{len(values)}H", *values)


def _longs(*values: int) -> tuple[int, int, bytes]:
    return 4, len(values), struct.pack(f"<{len(values)}I", *values)
