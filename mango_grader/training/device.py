"""Where networks run and in which precision; seeds."""

import random
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mango_grader.errors import UsageError

if TYPE_CHECKING:
    from mango_grader.training.world import World


@dataclass(frozen=True)
class Device:
    """A torch device: bfloat16 autocast on a GPU, float32 on the CPU, channels-last memory on both.

    Attributes:
        name: "cpu", "cuda" or "cuda:N".
        world: the ranks that share training steps, each on a device of its kind; None for this process alone.
    """

    name: str
    world: "World | None" = None

    @property
    def torch(self) -> torch.device:
        """The torch device."""
        return torch.device(self.name)

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name.startswith("cuda")

    def keeps(self, size: int) -> bool:
        """Return whether `size` bytes of images should be kept there: a quarter of a GPU's memory at most.

        The rest is for the networks, and for the copies that a search makes of held-out images.
        """
        return self.is_gpu and 4 * size <= torch.cuda.get_device_properties(self.torch).total_memory

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module there, with its weights in channels-last memory."""
        return module.to(self.torch, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def send(self, tensor: Tensor) -> Tensor:
        """Move a tensor there without waiting for it."""
        return tensor.to(self.torch, non_blocking=True)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which forward passes and losses run."""
        return torch.autocast("cuda", dtype=torch.bfloat16) if self.is_gpu else nullcontext()


def pick_device(name: str = "auto") -> Device:
    """Return the device of a name.

    Args:
        name: "cpu", "cuda" or "cuda:N"; "auto" is a GPU where there is one.

    Raises:
        UsageError: if there is no such device here.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        return Device("cuda" if available else "cpu")
    if name.startswith("cuda") and not available:
        raise UsageError(f"--device {name}: torch {torch.__version__} sees no GPU here; use --device cpu")
    if name != "cpu" and not name.startswith("cuda"):
        raise UsageError(f"--device {name}: choose auto, cpu, cuda or cuda:N")
    return Device(name)


def seed_everything(*seed: int) -> None:
    """Seed torch's, numpy's and Python's global generators.

    Args:
        *seed: non-negative integers.
    """
    state = int(np.random.SeedSequence(seed).generate_state(1, np.uint32)[0])
    torch.manual_seed(state)
    np.random.seed(state)
    random.seed(state)
