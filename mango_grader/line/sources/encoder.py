"""Where the belt is: an encoder that is read at the exposure of each frame."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Annotated, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from mango_grader.errors import UsageError
from mango_grader.line.frame import Frame
from mango_grader.line.sources.base import LiveSource, Source, SourceCounts, closed_after
from mango_grader.ranges import Positive, Range
from mango_grader.settings import Section, checked_section

_PAUSE = 1.0  # seconds before an encoder that gave no answer is asked again


class Encoder(Protocol):
    """Reads the position of the belt."""

    def __call__(self) -> float | None:
        """Return ticks that never wrap around; None if they cannot be read now."""


class WithTicks:
    """A live source whose frames carry the ticks of an encoder, read as soon as a frame is received.

    Args:
        source: of the frames.
        encoder: a function of your own, or a `ModbusEncoder`.

    Attributes:
        name: that of the source.
        finite: that of the source.
        counts: those of the source; `without_ticks` counts the frames for which the encoder gave none.

    Example:
        >>> import numpy as np
        >>> from itertools import count
        >>> from mango_grader.line import GivenFrames
        >>> ticks = count(100, 7)
        >>> source = WithTicks(GivenFrames([np.zeros((4, 6, 3), np.uint8)] * 2, fps=10), lambda: next(ticks))
        >>> [frame.ticks for frame in source.frames()]
        [100, 107]
    """

    def __init__(self, source: Source, encoder: Encoder | Callable[[], float | None]) -> None:
        self.name, self.finite, self.counts = source.name, source.finite, source.counts
        self._source, self._encoder = source, encoder

    def __len__(self) -> int:
        """Return the length of the source."""
        return len(self._source)

    def stop(self) -> None:
        """End the frames of a live source soon; any thread may."""
        if isinstance(self._source, LiveSource):
            self._source.stop()

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield frames, see `Source.frames`."""
        return _with_ticks(self._source.frames(start), self._encoder, self.counts)


def _with_ticks(frames: Iterator[Frame], encoder: Callable[[], float | None], counts: SourceCounts) -> Iterator[Frame]:
    try:
        with closed_after(frames):
            for frame in frames:
                ticks = encoder()
                counts.without_ticks += ticks is None
                yield replace(frame, ticks=ticks)
    finally:
        if isinstance(encoder, ModbusEncoder):
            encoder.close()


@dataclass(frozen=True)
class ModbusRegister(Section):
    """Where a PLC keeps the count of its encoder: one or two holding registers.

    Attributes:
        host: name or address of the PLC.
        port: its TCP port.
        address: of the first register, from 0.
        bits: width of the counter, which wraps around: 16 or 32.
        word_order: which half of a value of two registers comes first: "big" is the higher half.
        unit: Modbus unit.
        timeout: seconds to wait for an answer.
    """

    host: str
    address: Annotated[int, Range(0, 65535)]
    port: Annotated[int, Range(1, 65535)] = 502
    bits: Literal[16, 32] = 32
    word_order: Literal["big", "little"] = "big"
    unit: Annotated[int, Range(0, 255)] = 1
    timeout: Positive = 0.1

    @classmethod
    def parse(cls, text: str) -> "ModbusRegister":
        """Return what a text means: modbus://HOST[:PORT]/ADDRESS[?bits=16&word_order=little&unit=1&timeout=0.1].

        Raises:
            UsageError: it is not of that form.

        Example:
            >>> ModbusRegister.parse("modbus://10.0.0.5/100?bits=16")
            ModbusRegister(host='10.0.0.5', address=100, port=502, bits=16, word_order='big', unit=1, timeout=0.1)
        """
        try:
            parts = urlsplit(text)
            given = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            port, host, address = parts.port, parts.hostname, int(parts.path.removeprefix("/"))
            if parts.scheme != "modbus" or not host or parts.username is not None:
                raise ValueError("no modbus://HOST/ADDRESS")
            numbers = {name: float(text) if name == "timeout" else int(text) for name, text in given.items()
                       if name != "word_order"}  # fmt: skip
        except ValueError:
            form = "modbus://HOST[:PORT]/ADDRESS[?bits=16&word_order=little&unit=1&timeout=0.1]"
            raise UsageError(f"an encoder is written {form}, not {text}") from None
        told = {**given, **numbers, "host": host, "address": address, **({} if port is None else {"port": port})}
        return checked_section(cls, told, "encoder")


class ModbusEncoder:
    """An encoder whose counter a PLC keeps in holding registers, over Modbus TCP.

    A counter that wraps around is counted on: between two answers it must move by less than half its range. If the PLC
    does not answer in time the frame has no ticks, and the PLC is asked again after a second.

    Args:
        register: where the counter is.
    """

    def __init__(self, register: ModbusRegister) -> None:
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # A frame without ticks is counted instead.
        self._register = register
        self._client = ModbusTcpClient(register.host, port=register.port, timeout=register.timeout, retries=0)
        self._asked_again = 0.0
        self._ticks: int | None = None

    def __call__(self) -> float | None:
        """Return the ticks now, None if there is no answer in time."""
        if monotonic() < self._asked_again:
            return None
        count = self._count()
        if count is None:
            self.close()
            self._asked_again = monotonic() + _PAUSE
            return None
        self._ticks = count if self._ticks is None else unwrapped(self._ticks, count, self._register.bits)
        return float(self._ticks)

    def close(self) -> None:
        """Close the connection; the next reading opens it again."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _count(self) -> int | None:
        one = self._register
        try:
            if not self._client.connected and not self._client.connect():  # type: ignore[no-untyped-call]
                return None
            answer = self._client.read_holding_registers(one.address, count=one.bits // 16, device_id=one.unit)
        except (ModbusException, OSError):
            return None
        if answer.isError() or len(answer.registers) != one.bits // 16:
            return None
        words = answer.registers if one.word_order == "big" else answer.registers[::-1]
        return sum(word << 16 * place for place, word in enumerate(reversed(words)))


def unwrapped(last: int, count: int, bits: int) -> int:
    """Return the ticks nearest to the last ones that a counter shows as a count.

    Args:
        last: ticks at the last reading.
        count: of the counter now.
        bits: width of the counter.

    Example:
        >>> unwrapped(65530, 4, bits=16), unwrapped(3, 65535, bits=16)
        (65540, -1)
    """
    half = 1 << (bits - 1)
    return last + (count - last + half) % (2 * half) - half
