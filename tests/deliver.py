"""A process that delivers a growing log to one sink until it is killed: deliver.py MODULE.SETTINGS JSON LOG FOLDER."""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

from deciding import CLASSES, Clock
from logged import Log

from mango_grader.line import Delivery, RunInfo


def main(kind: str, settings: str, log: str, folder: str) -> None:
    module, _, name = kind.rpartition(".")
    sink = getattr(import_module(f"mango_grader.line.sinks.{module}"), name)(**json.loads(settings)).build()
    delivery = Delivery(sink, Log(Path(log)), RunInfo("run", CLASSES, folder, Clock().now))
    delivery.start()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        delivery.announce(10**9)
        time.sleep(0.001)


if __name__ == "__main__":
    main(*sys.argv[1:])
