"""A sorting line in forty lines: frames come in, fruit that the model is unsure of goes to a person.

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
    outlets: Counter[str] = Counter()
    for number, record in enumerate(grader.stream(camera(Path(folder))), start=1):
        sure = record.grade is not None and (record.confidence or 0) >= REVIEW_BELOW
        outlet = str(record.grade) if sure else "review"
        outlets[outlet] += 1
        print(f"frame {number}: {outlet} (exit {record.exit}, {record.infer_ms:.1f} ms)")
    print(", ".join(f"{outlet} {count}" for outlet, count in sorted(outlets.items())))


if __name__ == "__main__":
    main(*sys.argv[1:3])
