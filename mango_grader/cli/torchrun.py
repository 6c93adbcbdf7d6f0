"""Under torchrun, rank 0 runs the command as if it were alone; the other ranks take part in its training steps."""

import os
import signal

import click

from mango_grader.automl.ranks import supernet_from
from mango_grader.errors import MangoError, UsageError
from mango_grader.training.data_parallel import follow, network_from
from mango_grader.training.world import LostRankError, Rank, World, joined

_SHARED = ("search", "train")


def join(context: click.Context) -> World | None:
    """Connect the ranks; return the world on rank 0, None where it has one rank. All other ranks end in here.

    They look at no option of the command, so that what is wrong with one is said once, by rank 0.

    Args:
        context: of the whole command line, whose end lets the other ranks go.

    Raises:
        UsageError: the command takes no training steps.
        LostRankError: rank 0 cannot reach the others.
    """
    rank = Rank.of(os.environ)
    if rank.size == 1:
        return None
    if context.invoked_subcommand not in _SHARED:
        if rank.number:
            raise click.exceptions.Exit(0)
        raise UsageError(
            f"processes can share the training steps of {' and '.join(_SHARED)} alone; start"
            f" `mango-grader {context.invoked_subcommand}` without torchrun"
        )
    if rank.number:
        _follow(rank)
        raise click.exceptions.Exit(0)
    return context.with_resource(joined(rank))


def _follow(rank: Rank) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # rank 0 says what there is to say
    try:
        with joined(rank) as world:
            follow(world, {"network": network_from, "supernet": supernet_from})
    except LostRankError:
        return  # whoever has ended first is why the training ends, and says so
    except Exception as error:
        said = str(error) if isinstance(error, MangoError) else f"unexpected {type(error).__name__}: {error}"
        raise MangoError(f"process {rank.number}: {said}") from error
