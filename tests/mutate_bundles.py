"""Damages bundles in a thousand ways, by a seed, and looks on while the product reads them.

    python tests/mutate_bundles.py --count 500 --seed 0 [--model runs/mangos/model.mango] [--keep FOLDER]

Each mutant goes through `Grader.load` with and without its check, `grade`, `info` and `verify`, in another process.
A fault is an exception that is no one-line `MangoError`, a line on the terminal that is not the product's own, a
crash, a hang, or an answer from a manifest that is not valid.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bundle_mutations import LEVELS
from bundles import make_bundle
from click.testing import CliRunner

from mango_grader.cli import main as command_line
from mango_grader.errors import MangoError
from mango_grader.runtime.inference.grader import Grader

BATCH = 25
MOST_MEMORY = 6 << 30  # bytes of address space: a mutant may ask for more than there is
PATIENCE = 600.0  # seconds without an end: a busy machine is no hang


@dataclass(frozen=True)
class Mutant:
    """A damaged bundle; `invalid` where its manifest certainly is, so that no answer may come from it."""

    name: str
    path: Path
    invalid: bool


def mutants(
    sound: Path, folder: Path, count: int, seed: int, levels: Sequence[str] = tuple(LEVELS)
) -> Iterator[Mutant]:
    """Write `count` mutants of the bundle `sound` below `folder`, level by level; the same for the same seed."""
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        kind = levels[number % len(levels)]
        path = folder / f"{number:05d}.mango"
        path.write_bytes(sound.read_bytes())
        what, invalid = LEVELS[kind](path, rng)
        yield Mutant(f"{kind}: {what}", path, invalid)


def examine(batch: list[Mutant]) -> Iterator[tuple[Mutant, str, str]]:
    """Yield each mutant with a verdict and why; each batch is read in a process of its own.

    Verdicts: "fault", "refused", "answered", "unchecked" where there is an answer only with `check=False`, and
    "int8 only".
    """
    rest = list(batch)
    while rest:
        arguments = [sys.executable, "-W", "error", __file__, "--read", *(str(one.path) for one in rest)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                printed, _ = process.communicate(timeout=PATIENCE)
                end = f"the process ended with {process.returncode}"
            except subprocess.TimeoutExpired:
                process.kill()
                printed, end = process.communicate()[0], "it hangs"
        lines = printed.splitlines()
        read = [json.loads(line) for line in lines if line.startswith('{"verdict"')]
        for mutant, found in zip(rest, read, strict=False):
            if mutant.invalid and found["verdict"] not in ("refused", "fault"):
                yield mutant, "fault", "an answer from a manifest that is not valid"
            else:
                yield mutant, found["verdict"], found["why"]
        if len(read) < len(rest):
            yield rest[len(read)], "fault", f"{end}: {' | '.join(lines[-3:])[-300:]}"
        rest = rest[len(read) + 1 :]


def _read_all(paths: list[Path]) -> None:
    """Read every bundle as a user would; print one JSON line each."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    out = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
        for path in paths:
            try:
                verdict, why = _read(path)
            except BaseException as error:
                verdict, why = "fault", f"raw {type(error).__name__}: {str(error)[:200]}"
            sys.stdout.flush()
            sys.stderr.flush()
            noise.seek(0)
            if printed := noise.read():
                verdict, why = "fault", f"printed {printed[:200]!r}"
            noise.seek(0)
            noise.truncate()
            print(json.dumps({"verdict": verdict, "why": why}), file=out, flush=True)


def _read(path: Path) -> tuple[str, str]:
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    verdict, why = "refused", ""
    for check, precision in ((True, "fp32"), (False, "fp32"), (True, "int8")):
        try:
            grader = Grader.load(path, "cpu", precision, check=check)
            record = grader.grade(image)
        except MangoError as error:
            why = why or str(error)
            if not why.isprintable() or len(why) > 1000:
                return "fault", f"not one line: {why!r}"
            continue
        if record.error is None:
            if precision == "fp32":
                verdict = "answered" if check else verdict.replace("refused", "unchecked")
            elif verdict == "refused":
                verdict = "int8 only"
            values = np.array(record.probabilities)
            sound = np.isfinite(values).all() and abs(values.sum() - 1) < 1e-3 and record.confidence == values.max()
            if not sound or not isinstance(record.grade, str) or not record.grade.isprintable():
                return "fault", f"no sound answer: {record}"
    for command in (["info", path], ["info", path, "--json"], ["verify", path]):
        done = CliRunner().invoke(command_line, list(map(str, command)))
        raw = done.exception is not None and not isinstance(done.exception, SystemExit)
        if raw or done.exit_code not in (0, 1) or "unexpected" in done.output or "\x1b" in done.output:
            return "fault", f"{command[0]}: {done.output[-300:]}"
        if done.exit_code == 1 and command[0] == "info" and done.stderr.count("\n") != 1:
            return "fault", f"{command[0]}: {done.stderr!r}"
    return verdict, why


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="A sound bundle; a small one is made if none is given.")
    parser.add_argument("--keep", type=Path, help="Folder for the mutants that are faults.")
    parser.add_argument("--levels", nargs="+", choices=list(LEVELS), default=list(LEVELS))
    parser.add_argument("--read", nargs="+", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        _read_all(arguments.read)
        return
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        sound = arguments.model or make_bundle(Path(folder, "sound.mango"))
        todo = list(mutants(sound, Path(folder), arguments.count, arguments.seed, arguments.levels))
        for start in range(0, len(todo), BATCH):
            for mutant, verdict, why in examine(todo[start : start + BATCH]):
                counts[mutant.name.split(":")[0], verdict] += 1
                if verdict == "fault":
                    print(f"{mutant.path.stem} {mutant.name}: {why}", flush=True)
                    if arguments.keep:
                        arguments.keep.mkdir(parents=True, exist_ok=True)
                        arguments.keep.joinpath(mutant.path.name).write_bytes(mutant.path.read_bytes())
    for (kind, verdict), count in sorted(counts.items()):
        print(f"{kind:8} {verdict:9} {count}")
    faults = sum(count for (_, verdict), count in counts.items() if verdict == "fault")
    print(f"{arguments.count} mutants, seed {arguments.seed}: {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
