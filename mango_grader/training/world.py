"""The ranks that torchrun starts for one training: which one this process is, and how they reach each other."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from mango_grader.errors import MangoError

TORCHRUN = "TORCHELASTIC_RUN_ID"
"""The environment variable by which a process knows that torchrun has started it."""

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_PATIENCE = timedelta(days=30)  # others wait while rank 0 decodes, measures, exports; if it dies, torchrun ends them


class LostRankError(MangoError):
    """Another rank has ended, and with it the training."""


@dataclass(frozen=True)
class Rank:
    """Which of the processes of a training this one is; by default its only one.

    Attributes:
        number: from 0. Rank 0 runs the command; the others take part in its training steps and write nothing.
        size: how many ranks there are.
        local: number of this rank on its machine, from 0, and of its GPU there.
        local_size: how many ranks its machine has.

    Example:
        >>> torchrun = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
        >>> Rank.of(torchrun | {"LOCAL_WORLD_SIZE": "2"})
        Rank(number=3, size=4, local=1, local_size=2)
        >>> Rank.of({})
        Rank(number=0, size=1, local=0, local_size=1)
    """

    number: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the rank that torchrun's environment variables name; without torchrun the only one.

        Args:
            environment: of the process.
        """
        return cls(*(int(environment[name]) for name in _NAMES)) if TORCHRUN in environment else cls()


class World:
    """All ranks of a training, as one of them reaches the others; made by `joined`.

    Args:
        rank: which of them this process is.

    Attributes:
        rank: which of them this process is.
        rows: of a batch, those of this rank.
        idle: whether no step is under way, so that rank 0 may tell the others something.
        built: number of the network that the other ranks have now, 0 for none.
    """

    def __init__(self, rank: Rank) -> None:
        self.rank = rank
        self.rows = slice(rank.number, None, rank.size)
        self.idle = True
        self.built = 0
        with _naming_the_lost():
            control = dist.new_group(backend="gloo", timeout=_PATIENCE)
        assert isinstance(control, dist.ProcessGroup)  # every rank is in it
        self._control = control

    def tell(self, message: Any) -> None:
        """Tell all other ranks something, on rank 0.

        Args:
            message: JSON-safe plain data; None ends their work.

        Raises:
            LostRankError: one of them has ended.
        """
        text = json.dumps(message).encode()
        with _naming_the_lost():
            dist.broadcast(torch.tensor([len(text)]), 0, group=self._control)
            dist.broadcast(torch.frombuffer(bytearray(text), dtype=torch.uint8), 0, group=self._control)

    def hear(self) -> Any:
        """Return what rank 0 tells next, on any other rank.

        Raises:
            LostRankError: rank 0 has ended.
        """
        length = torch.zeros(1, dtype=torch.int64)
        with _naming_the_lost():
            dist.broadcast(length, 0, group=self._control)
            text = torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(text, 0, group=self._control)
        return json.loads(text.numpy().tobytes())

    def share(self, tensor: Tensor) -> None:
        """Give every rank what `tensor` holds on rank 0.

        Args:
            tensor: contiguous, of the same shape and type on all ranks; overwritten on all but rank 0.

        Raises:
            LostRankError: a rank has ended.
        """
        with _naming_the_lost():
            dist.broadcast(tensor, 0)

    def add_up(self, tensor: Tensor) -> None:
        """Give rank 0 the sum of all ranks' tensors.

        Args:
            tensor: contiguous, of the same shape and type on all ranks; what it holds afterwards on others than rank 0
                is undefined.

        Raises:
            LostRankError: a rank has ended.
        """
        with _naming_the_lost():
            dist.reduce(tensor, 0)

    def leave(self) -> None:
        """End the connection; rank 0 lets the others go, if they are there to hear it."""
        if not self.idle:
            return  # they wait for the rest of a step, and learn that it will not come when this process ends
        if self.rank.number == 0:
            with suppress(LostRankError):
                self.tell(None)
        dist.destroy_process_group()


@contextmanager
def joined(rank: Rank) -> Iterator[World]:
    """Connect this rank with the others, and yield all of them; tensors of a GPU travel by NCCL, all others by gloo.

    Args:
        rank: which of them this process is.

    Raises:
        LostRankError: they cannot be reached.
    """
    gpus = torch.cuda.device_count()
    if rank.local < gpus:
        torch.cuda.set_device(rank.local)
    with _naming_the_lost():
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus and dist.is_nccl_available() else "gloo")
    world = World(rank)
    try:
        yield world
    finally:
        world.leave()


@contextmanager
def _naming_the_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split()).split("] ", 1)[-1][:100]  # without the line of torch's own source
        raise LostRankError(
            f"another process of this training has ended or cannot be reached ({reason}); see its own message, then"
            " continue with --resume"
        ) from error
