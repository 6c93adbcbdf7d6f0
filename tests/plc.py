"""A PLC with Modbus TCP: real holding registers behind a real server, and a program that runs once in each cycle."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from mango_grader.line.sinks.modbus import (
    ACKNOWLEDGEMENTS,
    MAP_WORDS,
    RESULT,
    RESULT_WORDS,
    RESULTS,
    SEQUENCES,
    STATUS,
    Order,
    Register,
)

T = TypeVar("T")

CYCLE = 0.005  # seconds
WATCHDOG = 0.5  # seconds without a heartbeat after which all fruit go to outlet 0
SAFE = 0
SLOTS = 8


@dataclass
class Plc:
    """A PLC; its registers survive `stop`, its program runs only between `start` and `stop`.

    port: of its server; 0 lets the system choose. program: whether the program runs. taken: the results that the
    program took, in order, as values by name, with their sequence numbers.
    """

    port: int = 0
    unit: int = 1
    address: int = 0
    word_order: Order = "big"
    byte_order: Order = "big"
    program: bool = True
    registers: list[int] = field(default_factory=list)
    taken: list[dict[str, int]] = field(default_factory=list)
    beats: int = 0
    beat_at: float = -1e9

    def __post_init__(self) -> None:
        self.registers = [0] * (self.address + MAP_WORDS)

    def __enter__(self) -> "Plc":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and the program."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(self._start())

    def stop(self) -> None:
        """Stop both; every connection ends."""
        if not self._loop.is_closed():
            self._do(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def outlet(self, sequence: int) -> int:
        """Return where a fruit is sent that is at the outlets now: the safe way unless all is well."""
        results = [each["outlet"] for each in self.taken if each["sequence"] == sequence]
        healthy = time.monotonic() - self.beat_at < WATCHDOG and self.status("state") & 1
        return results[-1] if results and healthy else SAFE

    def status(self, name: str) -> int:
        """Return a value of the line's status."""
        return self._value(next(each for each in STATUS if each.name == name), 0)

    def cycle(self) -> None:
        """Run the program once."""
        if self.beats != self.status("heartbeat"):
            self.beats, self.beat_at = self.status("heartbeat"), time.monotonic()
        for slot in range(SLOTS):
            sequence, acknowledgement = (self._pair(start + 2 * slot) for start in (SEQUENCES, ACKNOWLEDGEMENTS))
            if sequence == acknowledgement:
                continue
            if sequence:
                values = {each.name: self._value(each, RESULTS + RESULT_WORDS * slot) for each in RESULT}
                self.taken.append({"sequence": sequence, **values})
            for word in (0, 1):
                at = self.address + 2 * slot + word
                self.registers[at + ACKNOWLEDGEMENTS] = self.registers[at + SEQUENCES]

    def _value(self, register: Register, start: int) -> int:
        at = start + register.offset
        return self._pair(at) if register.words == 2 else self._word(at)

    def _word(self, offset: int) -> int:
        raw = self.registers[self.address + offset].to_bytes(2, "big")
        return int.from_bytes(raw, self.byte_order)

    def _pair(self, offset: int) -> int:
        first, second = self._word(offset), self._word(offset + 1)
        return first << 16 | second if self.word_order == "big" else second << 16 | first

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _start(self) -> None:
        async def keep(
            function: int, start: int, address: int, count: int, held: list[int], written: list[Any] | None
        ) -> None:
            if written is None:
                held[: len(self.registers)] = self.registers
            else:
                self.registers[address : address + count] = written

        block = SimData(0, values=list(self.registers), datatype=DataType.REGISTERS)
        device = SimDevice(self.unit, simdata=block, action=keep)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        self.port = self._server.transport.sockets[0].getsockname()[1]
        self._cycles = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            if self.program:
                self.cycle()
            await asyncio.sleep(CYCLE)

    async def _stop(self) -> None:
        self._cycles.cancel()
        await self._server.shutdown()
        await asyncio.sleep(0.01)
