"""Arrays as parts of a bundle: .npy files exactly as numpy writes them, read without its parser."""

import io
import re

import numpy as np
from numpy.typing import NDArray

from mango_grader.errors import BundleError

# As numpy.save writes it; numpy's own reader would let Python's parser read whatever is there.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<size>..)\{'descr': '(?P<dtype>\|u1|<f4|<i4)', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,9}, ){0,7}\d{1,9},?)\), \} *\n",
    re.DOTALL,
)


def to_npy(array: NDArray[np.generic]) -> bytes:
    """Return an array as `numpy.save` writes it.

    Args:
        array: uint8, int32 or float32, with one value or more.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def read_images(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return the uint8 array of an .npy part as `numpy.save` writes it; raise `BundleError` for anything else.

    Args:
        data: the part.
        name: of the part, for messages.
    """
    return np.asarray(_read(data, name, np.dtype(np.uint8)), np.uint8)


def read_numbers(data: bytes, name: str) -> NDArray[np.float32]:
    """Return the float32 array of an .npy part as `numpy.save` writes it; raise `BundleError` for anything else.

    Args:
        data: the part.
        name: of the part, for messages.
    """
    return np.asarray(_read(data, name, np.dtype(np.float32)), np.float32)


def read_integers(data: bytes, name: str) -> NDArray[np.int32]:
    """Return the int32 array of an .npy part as `numpy.save` writes it; raise `BundleError` for anything else.

    Args:
        data: the part.
        name: of the part, for messages.
    """
    return np.asarray(_read(data, name, np.dtype(np.int32)), np.int32)


def _read(data: bytes, name: str, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    header = _HEADER.match(data)
    if header is None or int.from_bytes(header["size"], "little") != header.end() - 10:
        raise BundleError(f"{name} is not an array as numpy.save writes it")
    if np.dtype(header["dtype"].decode()) != dtype:
        raise BundleError(f"{name} holds {header['dtype'].decode()}")
    shape = tuple(int(size) for size in header["shape"].rstrip(b",").split(b", "))
    count = 1
    for size in shape:
        count *= size
    if not count or count * dtype.itemsize != len(data) - header.end():
        raise BundleError(f"{name} does not hold the values that its shape {shape} declares")
    values = np.frombuffer(data, dtype, count, header.end())
    return (values.reshape(shape[::-1]).T if header["fortran"] == b"True" else values.reshape(shape)).copy()
