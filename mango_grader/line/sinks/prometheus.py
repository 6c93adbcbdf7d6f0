"""The sink `prometheus`: counts of fruit, and how the line does, for Prometheus."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mango_grader import files
from mango_grader.errors import FormatError, SinkError, UsageError
from mango_grader.line.decision import Decision
from mango_grader.line.sinks.base import Figure, RunInfo, SinkSettings
from mango_grader.ranges import Positive, Range

_PREFIX = "mango_grader_"
_LABELS = ("lane", "status", "grade", "outlet", "review", "late")


@dataclass(frozen=True)
class PrometheusSettings(SinkSettings):
    """Counts of fruit, frames and losses, and the state of each sink, for Prometheus.

    A text file serves the node exporter's textfile collector and opens no socket; it is written whole after each
    decision, and every few seconds. With `port`, the same is served over HTTP. Every fruit is counted exactly once for
    each run: counts and position are kept together, and go on where they were after an interruption. `fruit_total` has
    the labels lane, status, grade, outlet, review and late.

    Attributes:
        path: of the text file, which must end in .prom for the node exporter; None writes none.
        port: of the HTTP server; None starts none.
        address: at which the HTTP server listens; the default is reached from this machine alone.
        interval_s: seconds between two writings of the file while no fruit comes.
        name: of the sink.

    Example:
        >>> PrometheusSettings(path="/var/lib/node_exporter/mango.prom").build().name
        'prometheus'
    """

    path: str | None = None
    port: Annotated[int, Range(0, 65535)] | None = None
    address: str = "127.0.0.1"
    interval_s: Positive = 5.0
    name: str = "prometheus"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is None and self.port is None:
            raise UsageError("give path or port")
        if self.path is not None and Path(self.path).suffix != ".prom":
            raise UsageError(f"path must end in .prom, or the node exporter does not read it: {self.path}")

    def build(self) -> "PrometheusSink":
        """Return the sink; nothing is written or served yet."""
        return PrometheusSink(self)


class PrometheusSink(Collector):
    """Counts decisions.

    Args:
        settings: of the sink.

    Attributes:
        port: of the HTTP server; None while there is none.
    """

    actuator = False
    missed = 0

    def __init__(self, settings: PrometheusSettings) -> None:
        self.name, self._settings = settings.name, settings
        self.port: int | None = None
        self._position, self._counts = 0, Counter[tuple[str, ...]]()
        self._running = ExitStack()
        self._writing = threading.Lock()

    def open(self, run: RunInfo) -> None:
        """Go on with the counts of the run, begin to write the file, and start the server if one is asked for."""
        self._run, self._kept = run, Path(run.folder, "counts.json")
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._position, self._counts = self._read()
        self._is_running = True
        try:
            self._write()
            self._running.callback(self._end)
            self._serve()
        except OSError as error:
            self.close()
            raise self._failed(error) from error
        ended = threading.Event()
        writer = threading.Thread(target=self._keep_writing, args=(ended,), name=self.name, daemon=True)
        writer.start()
        self._running.callback(writer.join)
        self._running.callback(ended.set)

    def deliver(self, decisions: Sequence[Decision]) -> None:
        """Count decisions, keep the counts, and write the file."""
        new = self._counts + Counter(map(_labels, decisions))
        counts = [[*labels, count] for labels, count in new.items()]
        kept = {"run": self._run.run, "sequence": decisions[-1].sequence, "counts": counts}
        try:
            files.write_text(self._kept, files.to_json(kept))
            self._position, self._counts = decisions[-1].sequence, new
            self._write()
        except OSError as error:
            raise self._failed(error) from error

    def position(self) -> int:
        """Return the sequence number of the last decision that is counted."""
        return self._position

    def close(self) -> None:
        """Write the file for the last time, and stop the server."""
        self._running.close()

    def collect(self) -> Iterator[Metric]:
        """Yield everything; the server and the file ask for it."""
        info = GaugeMetricFamily(f"{_PREFIX}running", "1 while the line runs.", labels=("run",))
        info.add_metric((self._run.run,), self._is_running)
        yield info
        counts = CounterMetricFamily(f"{_PREFIX}fruit", "Fruit that were decided.", labels=_LABELS)
        for labels, count in self._counts.items():
            counts.add_metric(labels, count)
        yield counts
        yield from _families(self._run.figures())

    def _read(self) -> tuple[int, Counter[tuple[str, ...]]]:
        try:
            kept = files.read_json(self._kept)
            if kept["run"] != self._run.run:
                return 0, Counter()
            return kept["sequence"], Counter({tuple(labels): count for *labels, count in kept["counts"]})
        except FileNotFoundError:
            return 0, Counter()
        except (OSError, FormatError, KeyError, TypeError, ValueError) as error:
            raise SinkError(f"{self._kept} cannot be read: {error}") from error

    def _write(self) -> None:
        if self._settings.path is not None:
            with self._writing:
                files.write_bytes(self._settings.path, generate_latest(self._registry))

    def _serve(self) -> None:
        if self._settings.port is None:
            return
        server, thread = start_http_server(self._settings.port, self._settings.address, self._registry)
        self._running.callback(thread.join)
        self._running.callback(server.server_close)
        self._running.callback(server.shutdown)
        self.port = server.server_port

    def _keep_writing(self, ended: threading.Event) -> None:
        while not ended.wait(self._settings.interval_s):
            self._refresh()

    def _refresh(self) -> None:
        with suppress(OSError):  # The next decision reports it.
            self._write()

    def _end(self) -> None:
        self._is_running = False
        self._refresh()

    def _failed(self, error: OSError) -> SinkError:
        where = error.filename or self._settings.path or f"port {self._settings.port}"
        return SinkError(f"{where}: {str(error.strerror).lower()}")


def _labels(decision: Decision) -> tuple[str, ...]:
    values = (getattr(decision, name) for name in _LABELS)
    return tuple("" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                 for value in values)  # fmt: skip


def _families(figures: Iterable[Figure]) -> Iterator[Metric]:
    """Yield the figures, those of one name together."""
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for figure in figures:
        kind = CounterMetricFamily if figure.rises else GaugeMetricFamily
        if figure.name not in found:
            found[figure.name] = kind(f"{_PREFIX}{figure.name}", figure.help, labels=list(figure.labels))
        found[figure.name].add_metric(list(figure.labels.values()), figure.value)
    yield from found.values()
