"""Suspects as one HTML file that needs nothing else: look at an image, decide, save reviewed.csv."""

import base64
import io
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from mango_grader import __version__
from mango_grader.datasets.reading.reviews import REVIEW_COLUMNS, UNSURE, UNUSABLE, Review
from mango_grader.errors import ImageError
from mango_grader.files import digest, to_json
from mango_grader.runtime.images.decode import decode
from mango_grader.text import counted
from mango_grader.workflow.suspects.find import Suspects

__all__ = ["render_suspects"]

_LARGE, _SMALL = 480, 112  # pixels, of the longer side
_EXAMPLES = 4  # of each class


def render_suspects(suspects: Suspects, review: Review) -> str:
    """Return the page.

    Args:
        suspects: what to show.
        review: rows of the CSV that the page saves: earlier decisions, and an empty row for each image shown.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    here = files("mango_grader.workflow.suspects")
    divided = len({each.group for each in suspects.first if each.same_fruit})
    return environment.from_string((here / "page.html").read_text(encoding="utf-8")).render(
        suspects=suspects,
        version=__version__,
        shown=counted(len(suspects.first), "image"),
        images=counted(len(suspects.dataset.items), "image"),
        divided=counted(divided, "fruit with several labels", "fruit with several labels"),
        content=_content(suspects, review),
        script=(here / "review.js").read_text(encoding="utf-8"),
    )


def _content(suspects: Suspects, review: Review) -> dict[str, Any]:
    """Return what the script works with."""
    root, examples = suspects.dataset.root, _examples(suspects)
    large = dict.fromkeys([*(each.path for each in suspects.first), *_others(suspects)])
    small = {path for paths in examples.values() for path in paths} - set(large)
    rows = [
        dict(zip(REVIEW_COLUMNS, (each.path, each.label, each.reviewed, each.note), strict=True))
        for each in review.decisions
    ]
    return {
        "key": f"mango-grader suspects {digest(to_json(rows).encode())[:16]}",
        "columns": list(REVIEW_COLUMNS),
        "rows": rows,
        "classes": list(suspects.dataset.classes),
        "words": {"unsure": UNSURE, "unusable": UNUSABLE},
        "suspects": [each.to_dict() for each in suspects.first],
        "examples": examples,
        "images": {
            **{path: _address(root / path, _LARGE) for path in large},
            **{path: _address(root / path, _SMALL) for path in sorted(small)},
        },
    }


def _others(suspects: Suspects) -> list[str]:
    return [path for each in suspects.first for path, _ in each.same_fruit]


def _examples(suspects: Suspects) -> dict[str, list[str]]:
    """Return the paths of the most credible images of each class."""
    found = defaultdict[str, list[str]](list)
    for each in reversed(suspects.ranked):
        if each.judgement is not None and not each.same_fruit and len(found[each.label]) < _EXAMPLES:
            found[each.label].append(each.path)
    return {name: found[name] for name in suspects.dataset.classes}


def _address(path: Path, side: int) -> str | None:
    """Return an image as a data: address, None if it cannot be read."""
    try:
        image = decode(path, needed=lambda width, height: (min(width, side), min(height, side)))
    except ImageError:
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
