"""OPC UA: the line writes its decisions into variables of a PLC's server."""

import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mango_grader.errors import MissingExtraError, SinkError, UsageError
from mango_grader.line.sinks.actuator import Actuator, ActuatorSettings
from mango_grader.line.sinks.plc import SLOTS, LineStatus, Result
from mango_grader.ranges import Positive
from mango_grader.text import one_line

if TYPE_CHECKING:
    from asyncua.client.client import Client

T = TypeVar("T")
Kind = Literal["Boolean", "UInt16", "UInt32"]

logging.getLogger("asyncua").addHandler(logging.NullHandler())  # what it would print comes as a SinkError


@dataclass(frozen=True)
class Variable:
    """One variable of the server.

    Attributes:
        name: that stands in its node id.
        kind: its OPC UA type.
        slots: whether it is an array with a value for each slot.
        meaning: for the documentation.
    """

    name: str
    kind: Kind
    slots: bool
    meaning: str


VARIABLES = (
    Variable("Heartbeat", "UInt16", False, "counts up with each heartbeat, after 65535 comes 0"),
    Variable("Ready", "Boolean", False, "whether frames come and results are sent"),
    Variable("Overrun", "Boolean", False, "whether a decision came too late within the last two seconds"),
    Variable(
        "ErrorCode",
        "UInt16",
        False,
        "0: none, 1: no frames, 2: a result was not acknowledged, 3: a decision came too late",
    ),
    Variable("LastSequence", "UInt32", False, "sequence number of the last result that was written"),
    Variable("Missed", "UInt32", False, "decisions of this run that came too late and were not sent"),
    Variable("Acknowledge", "UInt32", True, "written by the PLC: the sequence number that it has taken"),
    Variable("Sequence", "UInt32", True, "sequence number of the result in the slot; 0: none"),
    Variable("Lane", "UInt16", True, "number of the lane, from 1; 0: none"),
    Variable("Outlet", "UInt16", True, "number of the outlet, from 1, in the order of `outlets`; 0: the PLC's default"),
    Variable("Grade", "UInt16", True, "number of the grade, from 1, in the model's order; 0: none"),
    Variable("Review", "Boolean", True, "whether a person should look"),
    Variable("Late", "Boolean", True, "whether the decision was made too late"),
    Variable("DueMsValid", "Boolean", True, "whether DueMs is known"),
    Variable("DueMs", "UInt32", True, "milliseconds from the writing of this result until the fruit is at its outlet"),
    Variable("DueTicksValid", "Boolean", True, "whether DueTicks is known"),
    Variable("DueTicks", "UInt32", True, "position of the encoder at which the fruit is at its outlet, modulo 2³²"),
    Variable("Confidence", "UInt16", True, "probability of the grade, in thousandths"),
    Variable("Length", "UInt16", True, "longer side of the fruit, in tenths of a millimetre; 0: not known"),
    Variable("Width", "UInt16", True, "shorter side of the fruit, in tenths of a millimetre; 0: not known"),
    Variable("Views", "UInt16", True, "number of frames in which the fruit was looked at"),
)
"""What the server must offer; the line may write all of them but `Acknowledge`, which it reads."""

_BY_NAME = {variable.name: variable for variable in VARIABLES}
_RESULT: Mapping[str, Callable[[Result], int | bool]] = {
    "Lane": lambda result: result.lane,
    "Outlet": lambda result: result.outlet,
    "Grade": lambda result: result.grade,
    "Review": lambda result: result.review,
    "Late": lambda result: result.late,
    "DueMsValid": lambda result: result.due_ms is not None,
    "DueMs": lambda result: result.due_ms or 0,
    "DueTicksValid": lambda result: result.due_ticks is not None,
    "DueTicks": lambda result: result.due_ticks or 0,
    "Confidence": lambda result: result.confidence,
    "Length": lambda result: result.length,
    "Width": lambda result: result.width,
    "Views": lambda result: result.views,
}


@dataclass(frozen=True, kw_only=True)
class OpcuaSettings(ActuatorSettings):
    """A PLC with an OPC UA server; the line is its client. At least once; repeats have the same sequence number.

    The variables must exist already. The connection is not encrypted: keep it inside the machine's own network.

    Attributes:
        url: of the server, such as opc.tcp://192.168.0.10:4840.
        node: id of a variable, with {name} where the name of `VARIABLES` stands.
        timeout_ms: milliseconds after which an answer of the PLC is no longer waited for, and the connection is made
            again.
        user_variable: environment variable that holds the user; without one the line is anonymous.
        password_variable: environment variable that holds the password.
        name: of the sink.

    Example:
        >>> settings = OpcuaSettings(url="opc.tcp://plc:4840", node='ns=3;s="Mango"."{name}"')
        >>> settings.node.format(name="Ready")
        'ns=3;s="Mango"."Ready"'
    """

    url: str
    node: str = "ns=2;s=MangoGrader.{name}"
    timeout_ms: Positive = 2000.0
    user_variable: str = "MANGO_GRADER_OPCUA_USER"
    password_variable: str = "MANGO_GRADER_OPCUA_PASSWORD"
    name: str = "opcua"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url.startswith("opc.tcp://"):
            raise UsageError(f"url begins with opc.tcp://, unlike {one_line(self.url)[:40]}")
        if "{name}" not in self.node or self.node.replace("{name}", "").count("{"):
            raise UsageError(f"node holds {{name}} once and no other braces, unlike {one_line(self.node)[:40]}")

    def build(self) -> Actuator:
        """Return the sink, not yet connected.

        Raises:
            MissingExtraError: asyncua is not installed.
        """
        if find_spec("asyncua") is None:
            raise MissingExtraError("OPC UA", "opcua")
        return Actuator(OpcuaPort(self), self)


class OpcuaPort:
    """The variables of a PLC.

    Args:
        settings: where they are.
    """

    def __init__(self, settings: OpcuaSettings) -> None:
        from asyncua import ua
        from asyncua.client.client import Client
        from asyncua.ua.uaerrors import UaError

        self._settings, self._make, self._ua = settings, Client, ua
        self._refused: type[Exception] = UaError
        self._client: Client | None = None

    async def connect(self) -> None:
        """Connect."""
        client = self._make(self._settings.url, timeout=self._settings.timeout_ms / 1000)
        if user := os.environ.get(self._settings.user_variable):
            client.set_user(user)
            client.set_password(os.environ.get(self._settings.password_variable, ""))
        self._client = client
        await self._answer("no connection", client.connect())

    async def write_results(self, results: Sequence[Result]) -> None:
        """Write results into the slots from 0 up."""
        empty = SLOTS - len(results)
        await self._write({
            name: [*map(value, results), *[False if _BY_NAME[name].kind == "Boolean" else 0] * empty]
            for name, value in _RESULT.items()
        })  # fmt: skip

    async def write_sequences(self, sequences: Sequence[int]) -> None:
        """Write the sequence numbers of all slots."""
        await self._write({"Sequence": [number % 2**32 for number in sequences]})

    async def read_acknowledgements(self) -> list[int]:
        """Return the acknowledgements of all slots."""
        node = self._connected.get_node(self._id("Acknowledge"))
        values = await self._answer("Acknowledge", node.read_value())
        if not isinstance(values, list) or len(values) != SLOTS:
            raise SinkError(f"Acknowledge must be an array of {SLOTS} numbers")
        return [int(value) for value in values]

    async def write_status(self, status: LineStatus) -> None:
        """Write what the line does."""
        await self._write({
            "Heartbeat": status.heartbeat, "Ready": status.ready, "Overrun": status.overrun,
            "ErrorCode": int(status.error), "LastSequence": status.sequence % 2**32, "Missed": status.missed % 2**32,
        })  # fmt: skip

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it is closed because it fails
                await client.disconnect()
            client.disconnect_socket()

    @property
    def _connected(self) -> "Client":
        if self._client is None:
            raise SinkError("the connection was lost")
        return self._client

    def _id(self, name: str) -> str:
        return self._settings.node.replace("{name}", name)

    async def _write(self, values: Mapping[str, Any]) -> None:
        """Write variables in one request, without time stamps, which some PLCs refuse."""
        client, ua = self._connected, self._ua
        nodes = [client.get_node(self._id(name)) for name in values]
        variants = [ua.Variant(value, ua.VariantType[_BY_NAME[name].kind]) for name, value in values.items()]
        writing = client.write_values(nodes, list(map(ua.DataValue, variants)), raise_on_partial_error=False)
        for name, code in zip(values, await self._answer("writing", writing), strict=True):
            if not code.is_good():
                raise SinkError(f"the PLC refuses to write {self._id(name)}: {code.name}")

    async def _answer(self, what: str, work: Awaitable[T]) -> T:
        with _in_one_line(what, self._refused):
            return await work


@contextmanager
def _in_one_line(what: str, refused: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (refused, OSError, TimeoutError) as error:
        raise SinkError(f"{what}: {one_line(str(error)) or 'no answer'}") from error
