"""Kill a line again and again while it runs, and see whether a decision is missing or comes twice.

python tests/kill_line.py --kills 200
"""

import argparse
import multiprocessing
import os
import random
import signal
import sqlite3
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from bundles import make_bundle
from drawn_line import line_config, write_frames

from mango_grader.line import Line, LineOptions, LogFolder, open_source, write_table
from mango_grader.line.sinks.sqlite import SqliteSettings
from mango_grader.runtime import Grader

FRUIT = 24


def run_line(home: Path, name: str) -> None:
    """Run or go on with a line in this process; its log is home/NAME.log, its database home/NAME.db."""
    grader = Grader.load(home / "model.mango", "cpu")
    sink = SqliteSettings(str(home / f"{name}.db")).build()
    options = LineOptions(run="r", resume=True, checkpoint_frames=10)
    line = Line(open_source(str(home / "belt")), grader, line_config(), log=str(home / f"{name}.log"), sinks=[sink],
                options=options)  # fmt: skip
    for _ in line:
        pass


def prepare(home: Path) -> None:
    """Write what the line needs, and what a run makes that nobody kills."""
    make_bundle(home / "model.mango")
    write_frames(home / "belt", FRUIT)
    run_line(home, "whole")
    write_table(home / "whole.csv", LogFolder(home / "whole.log"))


def killed(home: Path, kills: int, seed: int) -> int:
    """Kill a line so often, run after run; compare each run with the one that nobody killed, and count them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    rng, done, runs = random.Random(seed), 0, 0
    while done < kills:
        name, runs = f"run{runs}", runs + 1
        while True:
            process = _started(context, home, name)
            time.sleep(rng.uniform(0, 0.25))
            if done < kills:
                os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            done += process.exitcode == -signal.SIGKILL
            assert process.exitcode in (0, -signal.SIGKILL)
            if process.exitcode == 0:
                break
        compare(home, name)
    return runs


def _started(context: multiprocessing.context.ForkServerContext, home: Path, name: str) -> BaseProcess:
    """Start a process, and wait for its line to run."""
    log = home / f"{name}.log" / "log.jsonl"
    before = log.stat().st_size if log.exists() else 0
    process = context.Process(target=run_line, args=(home, name))
    process.start()
    end = time.monotonic() + 60
    while process.is_alive() and (log.stat().st_size if log.exists() else 0) == before and time.monotonic() < end:
        time.sleep(0.001)
    return process


def compare(home: Path, name: str) -> None:
    """Fail unless a run has exactly the decisions of the one that nobody killed, everywhere."""
    log = LogFolder(home / f"{name}.log")
    assert log.verify().decisions == FRUIT
    write_table(home / f"{name}.csv", log)
    assert (home / f"{name}.csv").read_bytes() == (home / "whole.csv").read_bytes()
    rows = {}
    for each in (name, "whole"):
        with sqlite3.connect(home / f"{each}.db") as database:
            rows[each] = database.execute("SELECT * FROM fruit ORDER BY sequence").fetchall()
        database.close()
    assert rows[name] == rows["whole"]


def main() -> None:
    """Kill as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        runs = killed(Path(folder), arguments.kills, arguments.seed)
    print(f"{arguments.kills} kills in {runs} runs: no decision missing, none twice, every log intact")


if __name__ == "__main__":
    main()
