"""A real MQTT broker that can be stopped and started, and a subscriber that keeps what it hears."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from logged import until
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Broker:
    """A broker in a process of its own: mosquitto, or amqtt where there is none. It keeps its port when it starts anew.

    folder: for its files. extra: lines of mosquitto's configuration, such as those for TLS or passwords.
    """

    def __init__(self, folder: Path, *extra: str) -> None:
        self.port, self._folder, self._extra = free_port(), folder, extra
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        command = self._mosquitto() if MOSQUITTO else self._amqtt()
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(self._listens, 20)

    def stop(self) -> None:
        """Stop it as the system does."""
        self._end(kill=False)

    def kill(self) -> None:
        """Stop it at once."""
        self._end(kill=True)

    def _end(self, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if not kill:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
        process.kill()
        process.wait()

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "broker.log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def _mosquitto(self) -> list[str]:
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self._folder}/"]
        lines.append("set_tcp_nodelay true")
        lines += self._extra or ["allow_anonymous true"]
        config = self._folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, f"user {'root' if os.getuid() == 0 else 'mosquitto'}", ""]))
        return [str(MOSQUITTO), "-c", str(config)]

    def _amqtt(self) -> list[str]:
        config = self._folder / "amqtt.yaml"
        bind = f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
        plugins = "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
        config.write_text(bind + plugins)
        return [sys.executable, "-c", "from amqtt.scripts.broker_script import main; main()", "-c", str(config)]


@contextmanager
def broker(folder: Path, *extra: str) -> Iterator[Broker]:
    """A broker that runs."""
    one = Broker(folder, *extra)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@dataclass(frozen=True)
class Heard:
    """One message: topic, payload, and whether it was kept for those who come later."""

    topic: str
    payload: str
    retained: bool


@dataclass
class Subscriber:
    """Hears every message; it connects again by itself, and its subscription outlives the connection."""

    port: int
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, f"subscriber-{uuid4()}", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_message = self._hear
        self._client.on_subscribe = lambda *_: self._ready.set()

    def __enter__(self) -> "Subscriber":
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def flush(self) -> None:
        """Wait until all has been heard that the broker has: a message of our own comes behind it."""
        mark = f"{len(self.heard)} {time.monotonic()}"
        until(self._client.is_connected)
        self._client.publish("mango-grader/mark", mark, qos=1)
        until(lambda: any(each.payload == mark for each in list(self.heard)))

    def sequences(self) -> list[int]:
        """Return the sequence numbers of the fruit, in the order of their arrival."""
        return [json.loads(each.payload)["sequence"] for each in list(self.heard) if each.topic.endswith("fruit")]

    def statuses(self) -> list[str]:
        """Return what was said of the line."""
        return [each.payload for each in list(self.heard) if each.topic.endswith("status")]

    def _subscribe(
        self, client: Client, userdata: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        client.subscribe("mango-grader/#", qos=1)

    def _hear(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, message.payload.decode(), message.retain))
