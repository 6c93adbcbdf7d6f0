"""Prometheus: a text file that its own parser reads, a server only where one is asked for, and counts that go on."""

import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from deciding import CLASSES, Clock, decide
from logged import Log, until
from prometheus_client.parser import text_string_to_metric_families

from mango_grader.errors import SinkError, UsageError
from mango_grader.line import Deliveries, RunInfo
from mango_grader.line.sinks.base import Figure
from mango_grader.line.sinks.csv import CsvSettings
from mango_grader.line.sinks.prometheus import PrometheusSettings


@pytest.fixture
def run(tmp_path: Path) -> RunInfo:
    return RunInfo("run", CLASSES, str(tmp_path / "sink"), Clock().now)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the values by name and labels in the order of their names, as Prometheus reads them."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_fruit_are_counted_by_lane_grade_and_outlet(run: RunInfo, tmp_path: Path) -> None:
    path = tmp_path / "mango.prom"
    sink = PrometheusSettings(str(path)).build()
    sink.open(run)
    sink.deliver([decide(1), decide(2), decide(3), decide(4, grade=None, outlet=None, review=None, late=True)])
    found = samples(path.read_text())
    assert found[("mango_grader_fruit_total", "B", "2", "false", "second", "false", "decided")] == 2
    assert found[("mango_grader_fruit_total", "B", "1", "false", "second", "false", "decided")] == 1
    assert found[("mango_grader_fruit_total", "", "1", "true", "", "", "decided")] == 1
    assert found[("mango_grader_running", "run")] == 1
    sink.close()
    assert samples(path.read_text())[("mango_grader_running", "run")] == 0


def test_other_figures_of_the_line_are_fresh_without_any_fruit(run: RunInfo, tmp_path: Path) -> None:
    path, frames = tmp_path / "mango.prom", [0]
    told = replace(run, figures=lambda: [Figure("frames", "Frames.", frames[0], rises=True)])
    sink = PrometheusSettings(str(path), interval_s=0.02).build()
    sink.open(told)
    frames[0] = 7
    until(lambda: samples(path.read_text()).get(("mango_grader_frames_total",)) == 7)
    sink.close()


def test_the_state_of_every_sink_is_told(run: RunInfo, tmp_path: Path) -> None:
    path, log = tmp_path / "mango.prom", Log(tmp_path / "log.jsonl")
    (tmp_path / "file").touch()
    served = PrometheusSettings(str(path), interval_s=0.02).build()
    told = replace(run, figures=lambda: deliveries.figures())
    broken = CsvSettings(f"{tmp_path}/file/fruit.csv").build()
    deliveries = Deliveries([served, broken], log.reader, told)
    with deliveries:
        deliveries.announce(log.add(decide(1), decide(2)))
        until(lambda: path.exists() and samples(path.read_text()).get(("mango_grader_sink_waiting", "csv")) == 2)
        until(lambda: samples(path.read_text()).get(("mango_grader_sink_waiting", "prometheus")) == 0)
        found = samples(path.read_text())
        assert found[("mango_grader_sink_failing", "csv")] == 1
        assert found[("mango_grader_sink_failures_total", "csv")] >= 1
        assert found[("mango_grader_sink_failing", "prometheus")] == 0


def test_a_server_is_there_only_where_it_is_asked_for_and_only_for_this_machine(run: RunInfo, tmp_path: Path) -> None:
    silent = PrometheusSettings(str(tmp_path / "mango.prom")).build()
    silent.open(run)
    assert silent.port is None
    silent.close()
    sink = PrometheusSettings(port=0).build()
    sink.open(run)
    sink.deliver([decide(1)])
    assert sink.port
    with urlopen(f"http://127.0.0.1:{sink.port}/metrics") as answer:
        assert ("mango_grader_running", "run") in samples(answer.read().decode())
    with socket.socket() as outside, pytest.raises(OSError, match="refused"):
        outside.connect(("127.0.0.2", sink.port))
    sink.close()
    with socket.socket() as late, pytest.raises(OSError, match="refused"):
        late.connect(("127.0.0.1", sink.port))


def test_a_port_that_is_taken_is_one_line(run: RunInfo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=f"^port {port}: address already in use$"):
            PrometheusSettings(port=port).build().open(run)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give path or port"),
        ({"path": "mango.txt"}, "path must end in .prom, or the node exporter does not read it: mango.txt"),
        ({"port": 70000}, "port must be in 0..65535, not 70000"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        PrometheusSettings(**settings)
