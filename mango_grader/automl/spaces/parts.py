"""What chains of blocks have in common: the stem before them and the rule for where exits sit."""

from collections.abc import Sequence

from mango_grader.models.operations import Convolution
from mango_grader.models.spec import IMAGE, Node

STEM = "stem"


def check_stem_stride(stride: int) -> None:
    """Raise ValueError unless a stem can be made for `stride`."""
    if stride < 1 or stride.bit_count() != 1:
        raise ValueError(f"stem_stride must be a power of two, not {stride}")


def stem(channels: int, stride: int, *, activate: bool = True) -> list[Node]:
    """Return 3×3 convolutions to `channels`, one for each halving, so that none skips pixels; the last is `STEM`.

    stride: 1, 2, 4, …; raises ValueError for another. activate: whether the last one ends in a ReLU.
    """
    check_stem_stride(stride)
    halvings = stride.bit_length() - 1
    nodes: list[Node] = []
    before, previous = 3, IMAGE
    for left in range(halvings - 1, 0, -1):
        after = max(4, channels >> left)
        nodes.append(Node(f"{STEM}/{left}", Convolution(before, after, 3, 2), (previous,)))
        before, previous = after, nodes[-1].name
    last = Convolution(before, channels, 3, min(stride, 2), activate=activate)
    return [*nodes, Node(STEM, last, (previous,))]


def check_exits(exits: Sequence[int], last: int) -> None:
    """Raise ValueError unless `exits` are rising numbers of blocks, from 1, that end at the `last`."""
    if not exits or list(exits) != sorted(set(exits)) or exits[-1] != last:
        raise ValueError(f"exits must rise and end at the last block, {last}; got {tuple(exits)}")
