"""A PLC with OPC UA: real variables behind a real server, and a program that runs once in each cycle."""

import asyncio
import atexit
import socket
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

from asyncua import Server, ua
from asyncua.common.node import Node

from mango_grader.line.sinks.opcua import VARIABLES
from mango_grader.line.sinks.plc import SLOTS

T = TypeVar("T")

CYCLE = 0.01  # seconds


class OpcuaPlc:
    """A PLC; its variables survive `stop`, its program runs only between `start` and `stop`.

    taken: the results that the program took, in order, as values by name.
    """

    def __init__(self, port: int) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}"
        self.program = True
        self.taken: list[dict[str, Any]] = []
        self._nodes: dict[str, Node] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "OpcuaPlc":
        self._thread.start()
        self._do(self._make())
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        self._do(self._start())

    def stop(self) -> None:
        self._do(self._stop())

    def value(self, name: str) -> Any:
        return self._do(self._nodes[name].read_value())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _make(self) -> None:
        self._server = Server()
        await self._server.init()
        self._server.set_endpoint(self.url)
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self._server.register_namespace("urn:machine")
        folder = await self._server.nodes.objects.add_object(2, "MangoGrader")
        for each in VARIABLES:
            zero = False if each.kind == "Boolean" else 0
            value = ua.Variant([zero] * SLOTS if each.slots else zero, ua.VariantType[each.kind])
            node = await folder.add_variable(ua.NodeId(f"MangoGrader.{each.name}", 2), each.name, value)
            await node.set_writable()
            self._nodes[each.name] = node

    async def _start(self) -> None:
        await self._server.start()
        self._cycles = asyncio.create_task(self._run())

    async def _stop(self) -> None:
        self._cycles.cancel()
        await self._server.stop()

    async def _run(self) -> None:
        while True:
            if self.program:
                await self._cycle()
            await asyncio.sleep(CYCLE)

    async def _cycle(self) -> None:
        sequences = await self._nodes["Sequence"].read_value()
        acknowledged = await self._nodes["Acknowledge"].read_value()
        if sequences == acknowledged:
            return
        values = {name: await node.read_value() for name, node in self._nodes.items()}
        for slot, sequence in enumerate(sequences):
            if sequence not in (0, acknowledged[slot]):
                self.taken.append({each.name: values[each.name][slot] for each in VARIABLES if each.slots})
        await self._nodes["Acknowledge"].write_value(ua.Variant(sequences, ua.VariantType.UInt32))


@cache
def _shared() -> OpcuaPlc:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    plc = OpcuaPlc(port).__enter__()
    atexit.register(plc.__exit__)
    return plc


def opcua_plc() -> OpcuaPlc:
    """Return the PLC of this process, which takes seconds to make, with an empty memory."""
    plc = _shared()
    plc.taken.clear()
    plc.program = True
    return plc
