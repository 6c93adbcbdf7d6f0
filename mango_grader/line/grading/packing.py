"""Arrays as plain JSON values, exact to the last bit."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as plain JSON values.

    Args:
        array: of numbers or booleans.

    Example:
        >>> unpack(pack(np.array([[1.5, np.nan]], np.float32)))
        array([[1.5, nan]], dtype=float32)
    """
    data = zlib.compress(np.ascontiguousarray(array).tobytes(), level=1)
    return {"type": array.dtype.str, "shape": list(array.shape), "data": base64.b64encode(data).decode("ascii")}


def unpack(values: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array that `pack` was given.

    Args:
        values: of `pack`.
    """
    data = zlib.decompress(base64.b64decode(values["data"]))
    return np.frombuffer(data, np.dtype(values["type"])).reshape(values["shape"]).copy()
