"""The folder of `data suspects`: a page to decide on, a CSV to fill in, and the whole ranking."""

import os
from collections.abc import Mapping
from pathlib import Path

from mango_grader.datasets.reading.reviews import Decision, Review, read_review
from mango_grader.errors import UsageError
from mango_grader.files import write_json, write_text
from mango_grader.workflow.suspects.find import Suspects
from mango_grader.workflow.suspects.page import render_suspects

__all__ = ["check_replaceable_review", "write_suspects"]

_REVIEW, _PAGE, _RANKING = "reviewed.csv", "suspects.html", "suspects.json"


def check_replaceable_review(folder: str | os.PathLike[str]) -> None:
    """Raise `UsageError` if suspects may not be written to a folder, so that no decision and no other file is lost.

    Args:
        folder: it may be absent, empty, or hold suspects that nobody has decided on.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; name a folder")
    review = folder / _REVIEW
    if review.exists() and read_review(review).begun:
        raise UsageError(f"{review} holds decisions; choose another --out, and pass them with --labels {review}")
    others = {path.name for path in folder.iterdir()} - {_REVIEW, _PAGE, _RANKING} if folder.exists() else set()
    if others:
        raise UsageError(f"--out {folder} is not empty; choose a new or empty folder")


def write_suspects(folder: str | os.PathLike[str], suspects: Suspects) -> Path:
    """Write the page, the CSV to fill in and the ranking; return the path of the page.

    Args:
        folder: made if need be; see `check_replaceable_review`.
        suspects: what was found.

    Raises:
        UsageError: the folder holds decisions or other files.
    """
    check_replaceable_review(folder)
    folder = Path(folder)
    review = review_of(suspects)
    why: Mapping[str, Mapping[str, object]] = {
        "suggested": {each.path: each.judgement.suggested for each in suspects.first if each.judgement},
        "why": {each.path: each.why for each in suspects.first},
    }
    review.write(folder / _REVIEW, why)
    write_json(folder / _RANKING, suspects.to_dict())
    page = folder / _PAGE
    write_text(page, render_suspects(suspects, review))
    return page


def review_of(suspects: Suspects) -> Review:
    """Return earlier decisions, and then a row without one for each image that is shown.

    Args:
        suspects: what was found.
    """
    before = tuple(each for each in suspects.decided.decisions if each.reviewed) if suspects.decided else ()
    return Review(_REVIEW, (*before, *(Decision(each.path, each.label) for each in suspects.first)))
