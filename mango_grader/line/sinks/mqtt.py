"""The sink `mqtt`: one message per fruit to a broker."""

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from string import Formatter
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mango_grader import files
from mango_grader.errors import SinkError, UsageError
from mango_grader.line.decision import Decision, to_row
from mango_grader.line.sinks.base import RunInfo, SinkSettings
from mango_grader.line.sinks.cursor import Cursor, Mark
from mango_grader.ranges import Count, Positive
from mango_grader.text import one_line

ONLINE, OFFLINE = "online", "offline"
"""What the status topic holds."""

_FIELDS = ("run", "lot", "lane", "status", "grade", "outlet")
_KEEPALIVE = 30  # seconds without a message after which the broker is asked whether it is there
_FAREWELL = 1.0  # seconds


@dataclass(frozen=True)
class MqttSettings(SinkSettings):
    """One message per fruit is published to an MQTT broker with quality of service 1, in order.

    At least once: the position moves when the broker has acknowledged, so that a message whose acknowledgement was lost
    comes again, with the same `id`. The queue is the log on disk, which holds any number of messages while the broker
    is away; nothing waits in memory or in a session of the broker.

    A message is a JSON object: the values of a table's row, and `run` and `sequence`. A retained message of the status
    topic says "online" or "offline"; the broker itself says "offline" when the line is gone (last will). User and
    password come from environment variables, so that the file holds no secret; without a user the line is anonymous.

    Attributes:
        host: name or address of the broker.
        port: of the broker; 8883 is usual with TLS.
        topic: of a fruit; may hold {run}, {lot}, {lane}, {status}, {grade} and {outlet}, "-" where there is none.
        status_topic: of the line.
        client_id: of the line; empty is the program's name and the run's.
        tls: whether the connection is encrypted and the broker's certificate checked.
        ca_file: certificates of the authorities that are trusted; None are the system's.
        certificate: file with the line's own certificate, for brokers that ask for one.
        key: file with the key of that certificate.
        user_variable: environment variable that holds the user.
        password_variable: environment variable that holds the password.
        timeout_s: seconds to wait for a connection or an acknowledgement.
        name: of the sink.

    Example:
        >>> MqttSettings("broker.example", topic="orchard/lane{lane}/{grade}").build().name
        'mqtt'
    """

    host: str
    port: Count = 1883
    topic: str = "mango-grader/fruit"
    status_topic: str = "mango-grader/status"
    client_id: str = ""
    tls: bool = False
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    user_variable: str = "MANGO_GRADER_MQTT_USER"
    password_variable: str = "MANGO_GRADER_MQTT_PASSWORD"
    timeout_s: Positive = 10.0
    name: str = "mqtt"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_topic("topic", self.topic, _FIELDS)
        _check_topic("status_topic", self.status_topic, ())
        if not self.tls and (self.ca_file or self.certificate or self.key):
            raise UsageError("ca_file, certificate and key need tls = true")
        if bool(self.certificate) != bool(self.key):
            raise UsageError("certificate and key go together")

    def build(self) -> "MqttSink":
        """Return the sink, not yet connected."""
        return MqttSink(self)


class MqttSink:
    """Publishes one message per decision.

    Args:
        settings: of the sink.
    """

    actuator = False
    missed = 0

    def __init__(self, settings: MqttSettings) -> None:
        self.name, self._settings = settings.name, settings
        self._link: _Link | None = None
        self._position = 0

    def open(self, run: RunInfo) -> None:
        """Connect and say "online"."""
        self._run, self._cursor = run, Cursor(run)
        self._position = (self._cursor.read() or Mark()).sequence
        self._link = _Link(self._settings, self._settings.client_id or f"mango-grader-{run.run}")

    def deliver(self, decisions: Sequence[Decision]) -> None:
        """Publish, wait for the broker's acknowledgement of each, and move the position."""
        if self._link is None:
            raise SinkError("not connected")
        self._link.publish([(self._topic(decision), self._payload(decision)) for decision in decisions])
        self._cursor.write(Mark(decisions[-1].sequence))
        self._position = decisions[-1].sequence

    def position(self) -> int:
        """Return the sequence number of the last decision that the broker has acknowledged."""
        return self._position

    def close(self) -> None:
        """Say "offline" and disconnect."""
        if self._link is not None:
            self._link.close()
        self._link = None

    def _topic(self, decision: Decision) -> str:
        values: Mapping[str, object] = {"run": self._run.run, **{name: getattr(decision, name) for name in _FIELDS[1:]}}
        return self._settings.topic.format_map({name: _level(value) for name, value in values.items()})

    def _payload(self, decision: Decision) -> str:
        row: dict[str, Any] = to_row(decision, self._run.classes)
        return files.to_json({"run": self._run.run, "sequence": decision.sequence, **row}, ensure_ascii=False)


class _Link:
    """A connection to a broker; the library's thread keeps it alive, and makes it again while nothing is published."""

    def __init__(self, settings: MqttSettings, client_id: str) -> None:
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        self._answered = threading.Event()
        self._refused = ""
        # A clean session: after a failure, the messages that the library still holds are not to come again by
        # themselves, out of order, besides those that are read from the log.
        self._client = client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=True)
        client.connect_timeout = settings.timeout_s
        client.on_connect = self._on_connect
        client.on_socket_open = _send_at_once
        client.will_set(settings.status_topic, OFFLINE, qos=1, retain=True)
        if user := os.environ.get(settings.user_variable):
            client.username_pw_set(user, os.environ.get(settings.password_variable))
        try:
            if settings.tls:
                client.tls_set(settings.ca_file, settings.certificate, settings.key)
            client.connect(settings.host, settings.port, _KEEPALIVE)
            client.loop_start()
            if not self._answered.wait(settings.timeout_s):
                raise SinkError(f"{self._where}: the broker does not answer")
            if self._refused:
                raise SinkError(f"{self._where}: {self._refused}")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.close()
            raise SinkError(f"{self._where}: {one_line(str(error))}") from error
        except SinkError:
            self.close()
            raise

    def publish(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish topics and payloads; return when the broker has acknowledged all."""
        end = time.monotonic() + self._settings.timeout_s
        sent = [self._client.publish(topic, payload, qos=1) for topic, payload in messages]
        for message in sent:
            if message.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise SinkError(f"{self._where}: {error_string(message.rc).rstrip('.').lower()}")
            while not self._acknowledged(message, 0.2):
                if not self._client.is_connected():
                    raise SinkError(f"{self._where}: the connection is lost")
                if time.monotonic() > end:
                    raise SinkError(f"{self._where}: the broker does not acknowledge")

    def close(self) -> None:
        """Say "offline" where there is a connection, and end it."""
        if self._client.is_connected():
            self._acknowledged(self._client.publish(self._settings.status_topic, OFFLINE, 1, retain=True), _FAREWELL)
        self._client.disconnect()
        self._client.loop_stop()

    def _acknowledged(self, message: MQTTMessageInfo, seconds: float) -> bool:
        with suppress(RuntimeError, ValueError):  # it was never sent
            message.wait_for_publish(seconds)
            return message.is_published()
        return False

    def _on_connect(
        self, client: Client, userdata: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._refused = str(code).lower()
        else:
            self._refused = ""
            client.publish(self._settings.status_topic, ONLINE, 1, retain=True)
        self._answered.set()


def _send_at_once(client: Client, userdata: object, connection: Any) -> None:
    """Let no message wait for the acknowledgement of the packet before: that takes 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _level(value: object) -> str:
    """Return a value as one level of a topic."""
    text = "-" if value is None or value == "" else one_line(str(value))
    return text.translate(str.maketrans("/+#", "___"))


def _check_topic(name: str, topic: str, fields: Sequence[str]) -> None:
    try:
        found = [field for _, field, _, _ in Formatter().parse(topic) if field is not None]
    except ValueError:
        found = [topic]
    if unknown := next((field for field in found if field not in fields), None):
        known = f"it may hold {', '.join(f'{{{field}}}' for field in fields)}" if fields else "it is one plain topic"
        raise UsageError(f"{name}: {one_line(unknown)[:40]} means nothing here; {known}")
    if not topic or set(topic) & set("+#\0") or len(topic) > 1000:
        raise UsageError(f"{name}: a topic has 1 to 1,000 characters, and none of them is + or #")
