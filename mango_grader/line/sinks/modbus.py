"""Modbus TCP: the line writes its decisions into the holding registers of a PLC."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient

from mango_grader.errors import SinkError
from mango_grader.line.sinks.actuator import Actuator, ActuatorSettings
from mango_grader.line.sinks.plc import SLOTS, LineStatus, Result
from mango_grader.ranges import Range

Order = Literal["big", "little"]
Words = Literal[1, 2]

logging.getLogger("pymodbus").addHandler(logging.NullHandler())  # what it would print comes as a SinkError

MAP_VERSION = 1
"""Value of the register `map_version`; it changes when registers move."""


@dataclass(frozen=True)
class Register:
    """One value of the register map.

    Attributes:
        name: of the value.
        offset: of its first register, from the base address or from the beginning of its slot.
        words: number of registers.
        meaning: for the documentation.
    """

    name: str
    offset: int
    words: Words
    meaning: str


STATUS = (
    Register("map_version", 0, 1, "1; changes when registers move"),
    Register("heartbeat", 1, 1, "counts up with each heartbeat, after 65535 comes 0"),
    Register("state", 2, 1, "bit 0: ready, bit 1: overrun, bit 2: error"),
    Register("error", 3, 1, "0: none, 1: no frames, 2: a result was not acknowledged, 3: a decision came too late"),
    Register("last_sequence", 4, 2, "sequence number of the last result that was written"),
    Register("missed", 6, 2, "decisions of this run that came too late and were not sent"),
)
"""What the line writes with each heartbeat."""

RESULT = (
    Register("lane", 0, 1, "number of the lane, from 1; 0: none"),
    Register("outlet", 1, 1, "number of the outlet, from 1, in the order of `outlets`; 0: the PLC's default"),
    Register("grade", 2, 1, "number of the grade, from 1, in the model's order; 0: none"),
    Register("flags", 3, 1, "bit 0: review, bit 1: late, bit 2: due_ms is valid, bit 3: due_ticks is valid"),
    Register("due_ms", 4, 2, "milliseconds from the writing of this result until the fruit is at its outlet"),
    Register("due_ticks", 6, 2, "position of the encoder at which the fruit is at its outlet, modulo 2³²"),
    Register("confidence", 8, 1, "probability of the grade, in thousandths"),
    Register("length", 9, 1, "longer side of the fruit, in tenths of a millimetre; 0: not known"),
    Register("width", 10, 1, "shorter side of the fruit, in tenths of a millimetre; 0: not known"),
    Register("views", 11, 1, "number of frames in which the fruit was looked at"),
)
"""What the line writes into each slot."""

RESULT_WORDS = 12
ACKNOWLEDGEMENTS = 8
"""Offset of the acknowledgements, which the PLC writes: two registers a slot."""
SEQUENCES = ACKNOWLEDGEMENTS + 2 * SLOTS
"""Offset of the sequence numbers: two registers a slot."""
RESULTS = SEQUENCES + 2 * SLOTS
"""Offset of the results: `RESULT_WORDS` registers a slot."""
MAP_WORDS = RESULTS + RESULT_WORDS * SLOTS


@dataclass(frozen=True, kw_only=True)
class ModbusSettings(ActuatorSettings):
    """A PLC that is a Modbus TCP server; the line is its client. At least once; repeats have the same sequence number.

    Attributes:
        host: name or address of the PLC.
        port: of the Modbus server.
        unit: number of the unit behind it.
        address: of the first holding register, counted from 0; register 40001 of many manuals is address 0.
        word_order: which half of a value of two registers comes first: "big" is the higher half.
        byte_order: of the two bytes of a register; "big" is what Modbus asks for.
        name: of the sink.

    Example:
        >>> ModbusSettings(host="192.168.0.10", outlets=("class 1", "class 2", "processing")).build().name
        'modbus'
    """

    host: str
    port: Annotated[int, Range(1, 65535)] = 502
    unit: Annotated[int, Range(0, 255)] = 1
    address: Annotated[int, Range(0, 65536 - MAP_WORDS)] = 0
    word_order: Order = "big"
    byte_order: Order = "big"
    name: str = "modbus"

    def build(self) -> Actuator:
        """Return the sink, not yet connected."""
        return Actuator(ModbusPort(self), self)


class ModbusPort:
    """The holding registers of a PLC.

    Args:
        settings: where they are.
    """

    def __init__(self, settings: ModbusSettings) -> None:
        self._settings = settings
        self._client: AsyncModbusTcpClient | None = None

    async def connect(self) -> None:
        """Connect."""
        settings = self._settings
        self._client = AsyncModbusTcpClient(
            settings.host,
            port=settings.port,
            timeout=settings.timeout_ms / 1000,
            retries=0,
            reconnect_delay=0,  # the actuator connects again, and empties the slots before it goes on
        )
        if not await self._client.connect():
            raise SinkError(f"no connection to {settings.host}, port {settings.port}")

    async def write_results(self, results: Sequence[Result]) -> None:
        """Write results into the slots from 0 up."""
        await self._write(RESULTS, [word for result in results for word in self._words(RESULT, _values(result))])

    async def write_sequences(self, sequences: Sequence[int]) -> None:
        """Write the sequence numbers of all slots."""
        await self._write(SEQUENCES, [word for number in sequences for word in self._split(number, 2)])

    async def read_acknowledgements(self) -> list[int]:
        """Return the acknowledgements of all slots."""
        with _in_one_line():
            answer = await self._connected.read_holding_registers(
                self._settings.address + ACKNOWLEDGEMENTS, count=2 * SLOTS, device_id=self._settings.unit
            )
        if answer.isError():
            raise SinkError(f"the PLC refuses to read {2 * SLOTS} registers: {answer}")
        words = [self._swapped(word) for word in answer.registers]
        pairs = zip(words[::2], words[1::2], strict=True)
        return [high << 16 | low for high, low in (pair[:: self._step] for pair in pairs)]

    async def write_status(self, status: LineStatus) -> None:
        """Write what the line does."""
        state = status.ready | status.overrun << 1 | (status.error != 0) << 2
        values = [MAP_VERSION, status.heartbeat, state, status.error, status.sequence, status.missed]
        await self._write(0, self._words(STATUS, values))

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def _connected(self) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:
            raise SinkError("the connection was lost")
        return self._client

    @property
    def _step(self) -> int:
        return 1 if self._settings.word_order == "big" else -1

    def _words(self, registers: Sequence[Register], values: Sequence[int]) -> list[int]:
        pairs = zip(registers, values, strict=True)
        return [word for register, value in pairs for word in self._split(value, register.words)]

    def _split(self, value: int, words: Words) -> list[int]:
        """Return the registers of a value."""
        halves = [value % 2**32 >> 16, value % 2**16][:: self._step] if words == 2 else [value]
        return [self._swapped(half) for half in halves]

    def _swapped(self, word: int) -> int:
        return word if self._settings.byte_order == "big" else word % 256 << 8 | word >> 8

    async def _write(self, offset: int, words: list[int]) -> None:
        with _in_one_line():
            answer = await self._connected.write_registers(
                self._settings.address + offset, words, device_id=self._settings.unit
            )
        if answer.isError():
            raise SinkError(f"the PLC refuses to write {len(words)} registers: {answer}")


def _values(result: Result) -> list[int]:
    flags = result.review | result.late << 1 | (result.due_ms is not None) << 2 | (result.due_ticks is not None) << 3
    return [
        *(result.lane, result.outlet, result.grade, flags, result.due_ms or 0, result.due_ticks or 0),
        *(result.confidence, result.length, result.width, result.views),
    ]


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except (ModbusException, OSError) as error:
        raise SinkError(str(error)) from error
