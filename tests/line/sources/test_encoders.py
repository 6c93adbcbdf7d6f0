"""Encoders: a counter in a PLC's registers behind a real Modbus server, and functions of one's own."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from time import monotonic
from typing import Any

import pytest
from footage import footage
from mjpeg import mjpeg_camera
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from mango_grader.errors import UsageError
from mango_grader.line.sources import (
    GivenFrames,
    ModbusEncoder,
    ModbusRegister,
    SourceCounts,
    SourceOptions,
    WithTicks,
    open_source,
)

ADDRESS = 40


class CountingPlc:
    """A PLC whose holding registers from 40 on hold `words`; it can be unplugged and plugged in again."""

    def __init__(self) -> None:
        self.words = [0, 0]
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.plug_in()

    def plug_in(self) -> None:
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def unplug(self) -> None:
        async def leave() -> None:
            await self._server.shutdown()
            await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(leave(), self._loop).result(10)

    def close(self) -> None:
        self.unplug()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        async def keep(_function: int, _start: int, _address: int, _count: int, held: list[int], _written: Any) -> None:
            held[ADDRESS : ADDRESS + 2] = self.words

        block = SimData(0, values=[0] * 50, datatype=DataType.REGISTERS)
        self._server = ModbusTcpServer(SimDevice(1, simdata=block, action=keep), address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        self.port = self._server.transport.sockets[0].getsockname()[1]

    def register(self, **settings: Any) -> ModbusRegister:
        return ModbusRegister(host="127.0.0.1", port=self.port, address=ADDRESS, **{"timeout": 2.0, **settings})


@pytest.fixture
def plc() -> Iterator[CountingPlc]:
    with closing(CountingPlc()) as plc:
        yield plc


def readings(plc: CountingPlc, register: ModbusRegister, words: list[list[int]]) -> list[float | None]:
    found = []
    with closing(ModbusEncoder(register)) as encoder:
        for pair in words:
            plc.words = pair
            found.append(encoder())
    return found


def test_a_counter_of_32_bits_is_read_in_either_order_of_its_words(plc: CountingPlc) -> None:
    assert readings(plc, plc.register(), [[1, 2], [1, 3]]) == [65538, 65539]
    assert readings(plc, plc.register(word_order="little"), [[2, 1]]) == [65538]


def test_a_counter_that_wraps_around_is_counted_on_in_both_directions(plc: CountingPlc) -> None:
    words = [[65000, 0], [500, 0], [33000, 0], [200, 0], [33000, 0]]
    assert readings(plc, plc.register(bits=16), words) == [65000, 66036, 98536, 131272, 98536]
    top = [[0xFFFF, 0xFFFE], [0, 1], [0xFFFF, 0xFFFF]]
    assert readings(plc, plc.register(), top) == [2**32 - 2, 2**32 + 1, 2**32 - 1]


def test_frames_of_a_camera_carry_the_ticks_of_the_plc(plc: CountingPlc) -> None:
    plc.words = [0, 77]
    with mjpeg_camera() as camera:
        options = SourceOptions(encoder=f"modbus://127.0.0.1:{plc.port}/{ADDRESS}?timeout=2", timeout=1)
        with closing(open_source(camera.url, options).frames()) as frames:  # type: ignore[type-var]
            assert [frame.ticks for frame in islice(frames, 3)] == [77, 77, 77]


def test_a_plc_that_is_unplugged_costs_ticks_and_not_the_frames(plc: CountingPlc) -> None:
    plc.words = [0, 77]
    with closing(ModbusEncoder(plc.register(timeout=0.2))) as encoder:
        assert encoder() == 77
        plc.unplug()
        source = WithTicks(GivenFrames(footage(20), fps=10), encoder)
        begin = monotonic()
        assert [frame.ticks for frame in source.frames()] == [None] * 20
        assert monotonic() - begin < 0.9  # a PLC that does not answer is not asked at each frame
        assert source.counts == SourceCounts(delivered=20, without_ticks=20)
        plc.plug_in()
        plc.words = [0, 80]
        while (ticks := encoder()) is None:
            assert monotonic() - begin < 10
        assert ticks == 80


def test_registers_that_the_plc_does_not_have_give_no_ticks(plc: CountingPlc) -> None:
    with closing(ModbusEncoder(ModbusRegister(host="127.0.0.1", port=plc.port, address=4000, timeout=2.0))) as encoder:
        assert encoder() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.5/100", "an encoder is written modbus://HOST"),
        ("modbus://10.0.0.5", "an encoder is written modbus://HOST"),
        ("modbus://10.0.0.5:x/1", "an encoder is written modbus://HOST"),
        ("modbus://10.0.0.5/1?bits", "an encoder is written modbus://HOST"),
        ("modbus://10.0.0.5/1?bits=24", "encoder.bits: "),
        ("modbus://10.0.0.5/70000", "address must be in 0..65535, not 70000"),
        ("modbus://10.0.0.5/1?baud=9600", "encoder: no setting is called baud; there are host, address,"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        open_source("camera:97", SourceOptions(encoder=text))
    assert "\n" not in str(caught.value)
