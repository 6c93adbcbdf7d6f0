"""MQTT against a real broker: gone and back, an hour of fruit later, refused, encrypted; and the status of the line."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import deliver
import pytest
from brokers import MOSQUITTO, Broker, Heard, Subscriber, broker
from deciding import CLASSES, Clock, decide
from logged import Log, until

from mango_grader.errors import SinkError, UsageError
from mango_grader.files import to_json
from mango_grader.line import Delivery, RunInfo
from mango_grader.line.sinks.mqtt import MqttSettings

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "broker") as one:
        yield one


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    return RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now)


def test_a_message_is_a_row_under_its_topic(server: Broker, run: RunInfo) -> None:
    sink = MqttSettings("127.0.0.1", server.port, "mango-grader/{run}/{lot}/{lane}/{grade}/fruit").build()
    with Subscriber(server.port) as subscriber:
        sink.open(run)
        sink.deliver([decide(1, lot="north/+ 7"), decide(2, lot="", grade=None, probabilities=None, confidence=None)])
        sink.close()
        subscriber.flush()
        first, second = (each for each in subscriber.heard if each.topic.endswith("fruit"))
    assert (first.topic, second.topic) == ("mango-grader/run/north__ 7/2/B/fruit", "mango-grader/run/-/1/-/fruit")
    row = json.loads(first.payload)
    assert (row["run"], row["sequence"], row["id"], row["p_B"], row["exits"]) == ("run", 1, "run-1", 0.8, "1 1 2 1")
    assert json.loads(second.payload)["p_B"] is None
    assert not first.retained


def test_who_comes_later_learns_whether_the_line_is_there(server: Broker, run: RunInfo) -> None:
    sink = MqttSettings("127.0.0.1", server.port).build()
    sink.open(run)
    until(lambda: status(server) == {Heard("mango-grader/status", "online", retained=True)})
    sink.close()
    assert status(server) == {Heard("mango-grader/status", "offline", retained=True)}


def test_the_broker_says_that_a_killed_line_is_gone(server: Broker, tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    settings = to_json({"host": "127.0.0.1", "port": server.port})
    command = [deliver.__file__, "mqtt.MqttSettings", settings, str(log.path), str(tmp_path / "sink")]
    with Subscriber(server.port) as subscriber, subprocess.Popen([sys.executable, *command]) as line:
        until(lambda: subscriber.statuses() == ["online"])
        line.kill()
        until(lambda: subscriber.statuses() == ["online", "offline"])


def test_an_idle_line_is_online_again_after_the_broker_was_restarted(server: Broker, run: RunInfo) -> None:
    sink = MqttSettings("127.0.0.1", server.port).build()
    sink.open(run)
    try:
        with Subscriber(server.port) as subscriber:
            until(lambda: subscriber.statuses() == ["online"])
            server.kill()
            server.start()
            until(lambda: len(subscriber.statuses()) > 1)
            assert set(subscriber.statuses()) == {"online"}
            sink.deliver([decide(1)])
            subscriber.flush()
            assert subscriber.sequences() == [1]
    finally:
        sink.close()


@needs_mosquitto  # the other broker forgets subscriptions
@pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
def test_fruit_decided_while_the_broker_restarts_arrive_in_order(
    run: RunInfo, tmp_path: Path, end: Callable[[Broker], None]
) -> None:
    log = Log(tmp_path / "log.jsonl")
    remember = ("allow_anonymous true", "autosave_on_changes true", "autosave_interval 1")
    with broker(tmp_path / "broker", *remember) as server, Subscriber(server.port) as subscriber:
        delivery = Delivery(MqttSettings("127.0.0.1", server.port, timeout_s=2).build(), log, run)
        delivery.start()
        for sequence in range(1, 301):
            delivery.announce(log.add(decide(sequence)))
            if sequence == 100:
                until(lambda: delivery.state.position > 50)
                end(server)
                behind = delivery.state.position
            if sequence == 200:
                until(lambda: delivery.state.failing)
                server.start()
        assert delivery.drain(timeout=20) == 0
        delivery.close()
        subscriber.flush()
    # What a killed broker had acknowledged and not handed on yet is its loss; all the rest is there, in order.
    arrived = list(dict.fromkeys(subscriber.sequences()))
    assert arrived == sorted(arrived)
    assert len(arrived) == 300 if end is Broker.stop else set(range(behind + 1, 301)) < set(arrived)


def test_an_hour_without_the_broker_fills_the_disk_and_not_the_memory(
    server: Broker, run: RunInfo, tmp_path: Path
) -> None:
    hour = 3600  # one fruit a second
    server.stop()
    log = Log(tmp_path / "log.jsonl")
    delivery = Delivery(MqttSettings("127.0.0.1", server.port).build(), log, run)
    delivery.start()
    until(lambda: delivery.state.failures > 0)
    tracemalloc.start()
    for minute in range(60):
        delivery.announce(log.add(*(decide(minute * 60 + second) for second in range(1, 61))))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000, "decisions wait in memory"
    assert delivery.state.waiting == hour
    server.start()
    with Subscriber(server.port) as subscriber:
        assert delivery.drain(timeout=60) == 0
        delivery.close()
        subscriber.flush()
    assert list(dict.fromkeys(subscriber.sequences())) == [*range(1, hour + 1)]


def test_a_broker_that_is_not_there_or_hangs_is_one_line(tmp_path: Path, run: RunInfo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(SinkError, match=f"^127.0.0.1:{port}: the broker does not answer$"):
            MqttSettings("127.0.0.1", port, timeout_s=0.2).build().open(run)
        assert time.monotonic() - began < 2
    with pytest.raises(SinkError, match=f"^127.0.0.1:{port}: .*refused"):
        MqttSettings("127.0.0.1", port, timeout_s=0.2).build().open(run)


@needs_mosquitto
def test_user_and_password_come_from_the_environment(
    tmp_path: Path, run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd")
    passwords = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", str(passwords), "line", "secret"], check=True)
    settings = MqttSettings("127.0.0.1", 1, user_variable="LINE_USER", password_variable="LINE_PASSWORD")
    with broker(tmp_path / "broker", "allow_anonymous false", f"password_file {passwords}") as server:
        settings = MqttSettings(**{**vars(settings), "port": server.port})
        for user, password in ((None, None), ("line", "guess")):
            for name, value in (("LINE_USER", user), ("LINE_PASSWORD", password)):
                monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
            with pytest.raises(SinkError, match="not authorized"):
                settings.build().open(run)
        monkeypatch.setenv("LINE_PASSWORD", "secret")
        sink = settings.build()
        sink.open(run)
        sink.deliver([decide(1)])
        sink.close()
        assert sink.position() == 1


@needs_mosquitto
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_encrypted_connection_checks_whom_it_talks_to(tmp_path: Path, run: RunInfo) -> None:
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("needs openssl")
    for name, host in (("broker", "IP:127.0.0.1"), ("other", "DNS:elsewhere")):
        made = ["-keyout", f"{tmp_path}/{name}.key", "-out", f"{tmp_path}/{name}.pem", "-subj", f"/CN={name}"]
        new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-addext", f"subjectAltName={host}"]
        subprocess.run([tool, *new, *made], check=True, capture_output=True)
    extra = ("allow_anonymous true", f"certfile {tmp_path}/broker.pem", f"keyfile {tmp_path}/broker.key")
    with broker(tmp_path / "broker", *extra) as server:
        for trusted, said in ((None, "certificate verify failed"), ("other", "certificate verify failed")):
            ca_file = None if trusted is None else f"{tmp_path}/{trusted}.pem"
            with pytest.raises(SinkError, match=said):
                MqttSettings("127.0.0.1", server.port, tls=True, ca_file=ca_file).build().open(run)
        sink = MqttSettings("127.0.0.1", server.port, tls=True, ca_file=f"{tmp_path}/broker.pem").build()
        sink.open(run)
        sink.deliver([decide(1)])
        sink.close()
        assert sink.position() == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"topic": "fruit/{color}"}, "topic: color means nothing here; it may hold {run}, {lot}, {lane}, {status},"),
        ({"topic": "fruit/#"}, "topic: a topic has 1 to 1,000 characters, and none of them is + or #"),
        ({"topic": ""}, "topic: a topic has 1"),
        ({"topic": "fruit/{"}, "topic: fruit/{ means nothing here"),
        ({"status_topic": "line/{lane}"}, "status_topic: lane means nothing here; it is one plain topic"),
        ({"ca_file": "ca.pem"}, "ca_file, certificate and key need tls = true"),
        ({"tls": True, "key": "line.key"}, "certificate and key go together"),
        ({"name": "a/b"}, 'name must be letters, digits, "-" and "_", not a/b'),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        MqttSettings("broker", **settings)


def status(server: Broker) -> set[Heard]:
    """Return what somebody hears who comes now; amqtt says it twice."""
    with Subscriber(server.port) as late:
        late.flush()
        return {each for each in late.heard if each.topic.endswith("status")}
