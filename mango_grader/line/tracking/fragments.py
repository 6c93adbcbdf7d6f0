"""Fruit that a finder took apart: pieces that lie where one fruit is expected are put together again."""

from collections.abc import Sequence

import numpy as np

from mango_grader.line.observations import Blob, Box
from mango_grader.line.tracking.looks import Look
from mango_grader.line.tracking.track import Track

_PIECE = 0.85  # a piece has at most this share of the fruit's area
_LEAST, _MOST = 0.6, 1.3  # and all pieces together these shares of it
_INSIDE = 0.9  # of half the fruit's length and width: how far from its centre that of a piece lies at most


def pieces_of(tracks: Sequence[Track], looks: Sequence[Look]) -> list[tuple[int, ...]]:
    """Return which looks are pieces of each fruit, by their places; none where it is whole.

    Args:
        tracks: of fruit that may be in pieces, moved on to this frame.
        looks: of this frame.
    """
    if not tracks or len(looks) < 2:
        return [()] * len(tracks)
    lengths, widths = np.array([(max(track.length, 1.0), max(track.width, 1.0)) for track in tracks]).T[..., None] / 2
    along = np.subtract.outer([track.along for track in tracks], [one.along for one in looks]) / lengths
    across = np.subtract.outer([track.across for track in tracks], [one.across for one in looks]) / widths
    distance = np.hypot(along, across)
    owner = distance.argmin(axis=0)
    found = []
    for number, track in enumerate(tracks):
        inside = map(int, np.flatnonzero((owner == number) & (distance[number] <= _INSIDE)))
        pieces = tuple(place for place in inside if looks[place].area <= _PIECE * track.area)
        share = sum(looks[place].area for place in pieces) / track.area
        found.append(pieces if len(pieces) > 1 and _LEAST <= share <= _MOST else ())
    return found


def joined(blobs: Sequence[Blob]) -> Blob:
    """Return several blobs as one.

    Args:
        blobs: one or more.
    """
    boxes = [blob.box for blob in blobs]
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    box = Box(left, top, max(box.right for box in boxes), max(box.bottom for box in boxes))
    mask = np.zeros((box.height, box.width), bool)
    for blob in blobs:
        at = blob.box
        mask[at.top - top : at.bottom - top, at.left - left : at.right - left] |= blob.mask
    rows, columns = np.nonzero(mask)
    return Blob(box, mask, float(columns.mean()) + left, float(rows.mean()) + top, all(blob.complete for blob in blobs))
