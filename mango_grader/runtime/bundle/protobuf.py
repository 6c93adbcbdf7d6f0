"""Reads and writes the few things of protobuf's wire format that ONNX graphs need; nothing else is installed for it."""

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Attributes:
        number: of the field in its message.
        value: a number, or the bytes of anything else.
        encoded: the whole field, key and length included.
    """

    number: int
    value: int | memoryview
    encoded: memoryview

    @property
    def message(self) -> memoryview:
        """The bytes of a message, text or packed numbers; raises ValueError for a number."""
        if isinstance(self.value, int):
            raise ValueError("a number instead of a message")
        return self.value

    @property
    def numbers(self) -> Iterator[int]:
        """The whole numbers of a repeated field, packed or not, none of them negative; raises ValueError if cut off."""
        if isinstance(self.value, int):
            yield self.value
            return
        place = 0
        while place < len(self.value):
            number, place = _varint(self.value, place)
            yield number


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in their order; raise ValueError where they are cut off or of an unknown kind.

    Args:
        message: encoded.
    """
    start = 0
    while start < len(message):
        key, place = _varint(message, start)
        kind = key & 7
        value: int | memoryview
        if kind == _VARINT:
            value, place = _varint(message, place)
        else:
            if kind == _BYTES:
                size, place = _varint(message, place)
            elif kind in (_FIXED64, _FIXED32):
                size = 8 if kind == _FIXED64 else 4
            else:
                raise ValueError(f"a field of unknown kind {kind}")
            if size > len(message) - place:
                raise ValueError("it is cut off")
            value, place = message[place : place + size], place + size
        yield Field(key >> 3, value, message[start:place])
        start = place


def encode(number: int, message: bytes) -> bytes:
    """Return one field that holds a message or text.

    Args:
        number: of the field.
        message: its content, encoded.
    """
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(len(message)) + message


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is cut off")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is too long")


def _encode_varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
