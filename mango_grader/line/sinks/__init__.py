"""Sinks: where decisions go. Each is one module, and the settings that build it."""

from collections.abc import Mapping

from mango_grader.lazy import LazyRegistry
from mango_grader.line.sinks.base import Moment, RunInfo, Sink, SinkSettings
from mango_grader.line.sinks.delivery import DecisionReader, Deliveries, Delivery, DeliveryState

__all__ = [
    "SINKS",
    "DecisionReader",
    "Deliveries",
    "Delivery",
    "DeliveryState",
    "Moment",
    "RunInfo",
    "Sink",
    "SinkSettings",
]

SINKS: Mapping[str, type[SinkSettings]] = LazyRegistry(
    __name__,
    {
        "jsonl": "jsonl.JsonlSettings",
        "csv": "csv.CsvSettings",
        "sqlite": "sqlite.SqliteSettings",
        "mqtt": "mqtt.MqttSettings",
        "prometheus": "prometheus.PrometheusSettings",
        "modbus": "modbus.ModbusSettings",
        "opcua": "opcua.OpcuaSettings",
    },
)
"""The settings of every sink, by the `kind` in `[[sinks]]`."""
