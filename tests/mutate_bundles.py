"""Damages bundles in a thousand ways, by a seed, and looks on while the product reads them.

    python tests/mutate_bundles.py --count 2000 --seed 0 [--model runs/mangos/model.mango] [--keep FOLDER]

Each mutant goes through `Grader.load` with and without its check, in each precision and with what is chosen from
calibration data, then `grade`, `explain`, `info` and `verify`, in another process. A fault is an exception that is no
one-line `MangoError`, a line on the terminal that is not the product's own, a crash, a hang, more memory than
`MOST_MEMORY`, an answer from a manifest that is not valid, or, where the check passed, other answers than the sound
bundle's.
"""

import argparse
import functools
import itertools
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bundle_mutations import LEVELS
from bundles import make_whole_bundle
from click.testing import CliRunner
from numpy.typing import NDArray
from workers import answer_each, answers

from mango_grader.cli import main as command_line
from mango_grader.errors import MangoError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.golden import Golden
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.records import Record

BATCH = 100
LIMIT = 120.0
"""Seconds that one mutant may take; a machine may be busy."""
MOST_MEMORY = 6144
"""Mebibytes of address space: three golden images at once, of at most 1 GiB each, and Python itself."""

LOADS: tuple[dict[str, Any], ...] = (
    {"check": True},
    {"check": False},
    {"check": False, "precision": "int8"},
    {"check": False, "policy": "budget:50%", "decide": "cost"},
    {"check": False, "policy": "risk", "decide": "cost:ordinal"},
    {"check": False, "policy": "exit:1", "decide": "conformal:alpha=0.1"},
)
"""Arguments of `Grader.load` by which each mutant is loaded; the first decides between "answered" and "unchecked"."""


@dataclass(frozen=True)
class Mutant:
    """A damaged bundle; `invalid` where its manifest certainly is, so that no answer may come from it."""

    name: str
    path: Path
    invalid: bool


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        kind: "fault", "refused", "answered", or "unchecked" where there is an answer only without the check.
        why: reason of a fault or a refusal.
        seconds: that it took.
        peak: most mebibytes in memory at once, those of the process itself included.
    """

    kind: str
    why: str
    seconds: float
    peak: int


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


def examine(sound: Path, batch: list[Mutant], limit: float = LIMIT) -> Iterator[tuple[Mutant, Verdict]]:
    """Yield each mutant of the bundle `sound` with its verdict, read within `limit` seconds in another process."""

    def command(start: int) -> list[str]:
        return [__file__, "--model", str(sound), "--read", *(str(one.path) for one in batch[start:])]

    for number, said, seconds in answers(command, 0, len(batch), limit):
        mutant = batch[number]
        values = {"failure": said} if isinstance(said, str) else said
        kind, why = values.get("kind", "fault"), values.get("why", "")
        if failure := values.get("failure"):
            kind, why = "fault", failure
        elif mutant.invalid and kind != "refused":
            kind, why = "fault", "an answer from a manifest that is not valid"
        yield mutant, Verdict(kind, why, seconds, values.get("peak", 0))


def _read(path: Path, golden: Golden) -> dict[str, Any]:
    """Read a bundle as a user would."""
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    found = {"kind": "refused", "why": ""}
    for options in LOADS:
        try:
            grader = Grader.load(path, "cpu", **options)
            record = grader.grade(image)
            failure = _other_answers(grader, golden) if options["check"] else None
        except MangoError as error:
            found["why"] = found["why"] or str(error)
            if not str(error).isprintable() or len(str(error)) > 1000:
                return {"failure": f"not one line: {str(error)!r}"}
            continue
        if failure := failure or _unsound(record) or _unsound_map(grader, image, record):
            return {"failure": failure}
        if record.error is None:
            found["kind"] = "answered" if options["check"] else found["kind"].replace("refused", "unchecked")
    return found | {"failure": _commands(path)}


def _other_answers(grader: Grader, golden: Golden) -> str | None:
    """Return how a model that passed its own check answers otherwise than the sound one; None if it does not."""
    try:
        found = grader.model.every_exit(golden.images)
    except MangoError as error:
        return f"passed its check, and cannot grade the sound golden images: {error}"
    if found.shape != golden.probabilities.shape or not np.allclose(found, golden.probabilities, atol=2e-4):
        return "passed its check, and answers the sound golden images otherwise"
    return None


def _unsound(record: Record) -> str | None:
    if record.error is not None:
        return None if record.grade is None and record.error.isprintable() else f"an answer with an error: {record}"
    values = np.array(record.probabilities)
    sound = np.isfinite(values).all() and abs(values.sum() - 1) < 1e-3 and record.confidence in values.tolist()
    return None if sound and str(record.grade).isprintable() else f"no sound answer: {record}"


def _unsound_map(grader: Grader, image: NDArray[np.uint8], record: Record) -> str | None:
    try:
        values = grader.explain(image, record).values
    except MangoError as error:
        return None if str(error).isprintable() else f"not one line: {str(error)!r}"
    return None if np.isfinite(values).all() else "a heat map that is not finite"


def _commands(path: Path) -> str | None:
    for command in (["info", path], ["info", path, "--json"], ["verify", path]):
        done = CliRunner().invoke(command_line, list(map(str, command)))
        raw = done.exception is not None and not isinstance(done.exception, SystemExit)
        if raw or done.exit_code not in (0, 1) or "unexpected" in done.output or "\x1b" in done.output:
            return f"{command[0]}: {done.output[-300:]}"
        if done.exit_code == 1 and command[0] == "info" and done.stderr.count("\n") != 1:
            return f"{command[0]}: {done.stderr!r}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="A sound bundle; a small one is made if none is given.")
    parser.add_argument("--keep", type=Path, help="Folder for the mutants that are faults.")
    parser.add_argument("--levels", nargs="+", choices=list(LEVELS), default=list(LEVELS))
    parser.add_argument("--limit", type=float, default=LIMIT, help="Seconds that one mutant may take.")
    parser.add_argument("--read", nargs="+", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        golden = Bundle.open(arguments.model).golden()
        answer_each((functools.partial(_read, path, golden) for path in arguments.read), MOST_MEMORY)
        return
    counts: Counter[tuple[str, str]] = Counter()
    slowest, largest = (0.0, ""), (0, "")
    with tempfile.TemporaryDirectory() as folder:
        sound = arguments.model or make_whole_bundle(Path(folder, "sound.mango"))
        todo = mutants(sound, Path(folder), arguments.count, arguments.seed, arguments.levels)
        while batch := list(itertools.islice(todo, BATCH)):
            for mutant, verdict in examine(sound, batch, arguments.limit):
                counts[mutant.name.split(":")[0], verdict.kind] += 1
                named = f"{mutant.path.stem}, {mutant.name}"
                slowest, largest = max(slowest, (verdict.seconds, named)), max(largest, (verdict.peak, named))
                if verdict.kind == "fault":
                    print(f"{named}: {verdict.why}", flush=True)
                    if arguments.keep:
                        arguments.keep.mkdir(parents=True, exist_ok=True)
                        shutil.copy(mutant.path, arguments.keep)
                mutant.path.unlink()
    for (level, kind), count in sorted(counts.items()):
        print(f"{level:8} {kind:9} {count}")
    faults = sum(count for (_, kind), count in counts.items() if kind == "fault")
    print(f"{arguments.count} mutants, seed {arguments.seed}: {faults} faults; ", end="")
    print(f"slowest {slowest[0]:.1f} s ({slowest[1]}), largest {largest[0]} MiB ({largest[1]})")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
