"""A sorting line in thirty lines: frames come in, fruit that the model is unsure of goes to a person.

    python examples/sorting_line.py runs/mangos/model.mango ./belt

Needs only the base install, without torch.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mango_grader import Grader

REVIEW_BELOW = 0.6


def camera(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield frames (H, W, 3) uint8 RGB; put your camera's own loop here."""
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))


def main(model: str, folder: str) -> None:
    """Grade every frame and count where the fruit went."""
    grader = Grader.load(model)
    gates: Counter[str] = Counter()
    for record in grader.grade_many(camera(Path(folder)), batch_size=1):
        sure = record.grade is not None and (record.confidence or 0) >= REVIEW_BELOW
        gate = str(record.grade) if sure else "review"
        gates[gate] += 1
        print(f"{record.path}: {gate} (exit {record.exit}, {record.infer_ms:.1f} ms)")
    print(", ".join(f"{gate} {count}" for gate, count in sorted(gates.items())))


if __name__ == "__main__":
    main(*sys.argv[1:3])
