"""One training step on several processes: each runs its rows of the batch, and rank 0 does all the rest.

Rank 0 has the weights, the loss and the optimiser, so that nothing else of a training knows of other ranks. In every
step it gives them weights and images, gets the logits of the whole batch, gives back their gradient, and gets the sum
of all gradients of the weights. Whatever the loss weighs or averages, it is thus that of the whole batch.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mango_grader.errors import MangoError, UsageError
from mango_grader.models import FromBytes, NetworkSpec, build_network
from mango_grader.models.modules import DropPath
from mango_grader.training.device import Device, seed_everything
from mango_grader.training.memory import keep_freed_memory
from mango_grader.training.world import World

_FEWEST_ROWS = 2  # of a rank: BatchNorm takes no statistics of a single one
_numbers = count(1)

Kind = Literal["network", "supernet"]


@dataclass(frozen=True)
class Blueprint:
    """What other ranks make a network from.

    Attributes:
        kind: of the network, by which they know how it is made.
        settings: that it is made from, JSON-safe.
        plain: from what a pass is run under to JSON-safe plain data, which other ranks' networks take in its place.
    """

    kind: Kind
    settings: Mapping[str, Any]
    plain: Callable[[Any], Any] = lambda gates: gates

    @classmethod
    def of(cls, spec: NetworkSpec) -> "Blueprint":
        """Return that of a plain network, which is run under nothing."""
        return cls("network", spec.to_dict())


def network_from(settings: Mapping[str, Any]) -> nn.Module:
    """Return the network of `Blueprint.of`'s settings, which is run under nothing."""
    return build_network(NetworkSpec.from_dict(settings))


class DataParallel:
    """Runs a network on the batches that it learns from; all ranks of the device's world share their rows.

    Rank r takes rows r, r + size, r + 2 · size, … of every batch. On a CPU, BatchNorm takes the statistics of each
    rank's own rows, and the means of its running ones are kept; on GPUs it takes those of the whole batch.

    Args:
        net: the network, on the device, with gradients only for what it learns.
        blueprint: what other ranks make it from.
        device: where it runs, and with whom.
    """

    def __init__(self, net: nn.Module, blueprint: Blueprint, device: Device) -> None:
        self._net, self._blueprint, self._device = net, blueprint, device
        self._from_bytes = device.place(FromBytes())
        self._number = next(_numbers)
        self._replica = None if device.world is None else _Replica(net, device, device.world)

    def passes(self, number: int, images: Tensor, gates: Sequence[Any] = (None,)) -> Iterator[Sequence[Tensor]]:
        """Yield the logits (N, classes) of each exit for each pass of a step; the next pass waits for their gradients.

        After the last one the gradients are those of the whole batch, and so are the buffers.

        Args:
            number: of the step, which other ranks' random numbers follow from, together with torch's seed.
            images: uint8 (N, H, W, 3), of the whole batch.
            gates: what each pass is run under; None where the network takes images alone.

        Raises:
            UsageError: there are too few images for so many ranks.
            LostRankError: another rank has ended.
        """
        if self._replica is not None:
            yield from self._shared_passes(self._replica, number, images, gates)
            return
        batch = self._from_bytes(self._device.send(images))
        for each in gates:
            with self._device.autocast():
                logits = _logits(self._net, batch, each)
            yield logits

    def _shared_passes(
        self, replica: "_Replica", number: int, images: Tensor, gates: Sequence[Any]
    ) -> Iterator[Sequence[Tensor]]:
        world, sent = replica.world, self._device.send(images).contiguous()
        if len(images) < _FEWEST_ROWS * world.rank.size:
            raise UsageError(
                f"a batch of {len(images)} images is too small for {world.rank.size} processes, each of which needs"
                f" {_FEWEST_ROWS}: start fewer, or make batches larger (--set train.batch_size=…, search.batch_size=…)"
            )
        paths, seed = [self._blueprint.plain(each) for each in gates], (torch.initial_seed(), number)
        step = _Step(tuple(images.shape), paths, replica.drop_path, seed, torch.get_num_threads())
        world.idle = False
        world.tell({"network": None if world.built == self._number else self._described(), "step": asdict(step)})
        world.built = self._number
        replica.begin(step, sent)
        for each in gates:
            yield replica.run(each).unbind()
        replica.end()
        world.idle = True

    def _described(self) -> dict[str, Any]:
        """Return all from which another rank makes its network, JSON-safe."""
        fixed = [not parameter.requires_grad for parameter in self._net.parameters()]
        plan = self._blueprint
        return {"kind": plan.kind, "settings": plan.settings, "gpu": self._device.is_gpu, "fixed": fixed}


def follow(world: World, makers: Mapping[Kind, Callable[[Mapping[str, Any]], nn.Module]]) -> None:
    """Take part in the steps of rank 0 until it ends; for all other ranks.

    Args:
        world: all ranks.
        makers: what makes a network of a blueprint's settings, by its kind; it takes images, and as plain data what a
            pass is run under, if anything.

    Raises:
        LostRankError: another rank has ended.
        MangoError: this machine has fewer GPUs than ranks.
    """
    keep_freed_memory()
    replica: _Replica | None = None
    while (told := world.hear()) is not None:
        if (described := told["network"]) is not None:
            device = _own_device(world) if described["gpu"] else Device("cpu")
            net = device.place(makers[described["kind"]](described["settings"]))
            for parameter, fixed in zip(net.parameters(), described["fixed"], strict=True):
                parameter.requires_grad_(not fixed)
            replica = _Replica(net, device, world)
        assert replica is not None
        step = _Step(**told["step"])
        seed_everything(*step.seed, world.rank.number)
        if step.threads != torch.get_num_threads():
            torch.set_num_threads(step.threads)
        replica.begin(step, torch.empty(step.shape, dtype=torch.uint8, device=replica.device.torch))
        for path in step.paths:
            whole = replica.run(path)
            torch.autograd.backward(whole, torch.zeros_like(whole))  # rank 0 says what it is
        replica.end()


@dataclass(frozen=True)
class _Step:
    """What other ranks are told of a step: all but its weights and images.

    shape: of the images. paths: what each pass is run under. drop_path: progress of dropping paths, 0..1. seed: of
    random numbers. threads: how many compute.
    """

    shape: Sequence[int]
    paths: Sequence[Any]
    drop_path: float
    seed: Sequence[int]
    threads: int


class _Replica:
    """A network on one rank: it has rank 0's weights in every step, and runs the rank's own rows."""

    def __init__(self, net: nn.Module, device: Device, world: World) -> None:
        self.device, self.world, self._net = device, world, net
        self._running = _synchronised(net) if device.is_gpu else net
        self._from_bytes = device.place(FromBytes())
        self._buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
        self._weights = [*net.parameters(), *self._buffers]
        self._drops = _drops(self._running)
        self._rows = torch.empty(0)
        self._images = 0

    @property
    def drop_path(self) -> float:
        """How far dropping paths has come, 0..1."""
        return max((each.progress for each in _drops(self._net)), default=0.0)

    @torch.no_grad()
    def begin(self, step: _Step, images: Tensor) -> None:
        """Take over rank 0's weights and images."""
        self._running.train()
        for drop in self._drops:
            drop.progress = step.drop_path
        flat = _flat(self._weights)
        self.world.share(flat)
        self.world.share(images)
        if self.world.rank.number:
            _spread(flat, self._weights)
        self._images = len(images)
        self._rows = self._from_bytes(images[self.world.rows].contiguous())

    def run(self, gates: Any) -> Tensor:
        """Return the logits of the whole batch, (exits, N, classes), on rank 0; elsewhere what stands for them."""
        with self.device.autocast():
            own = torch.stack([logits.float() for logits in _logits(self._running, self._rows, gates)])
        whole: Tensor = _WholeBatch.apply(own, self.world, self._images)
        return whole

    @torch.no_grad()
    def end(self) -> None:
        """Give rank 0 the sum of all gradients and the mean of all buffers."""
        gradients = [parameter.grad for parameter in self._net.parameters() if parameter.grad is not None]
        share = len(self._rows) / self._images
        flat = _flat([*gradients, *(share * buffer for buffer in self._buffers)])
        self.world.add_up(flat)
        if self.world.rank.number == 0:
            _spread(flat, [*gradients, *self._buffers])
        else:
            self._net.zero_grad(set_to_none=True)


class _WholeBatch(torch.autograd.Function):
    """From the logits of a rank's own rows, (exits, n, classes), to those of all rows; the gradient goes back alike."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, world: World, images: int) -> Tensor:
        ctx.world = world
        whole = own.new_zeros(own.shape[0], images, own.shape[2])
        whole[:, world.rows] = own
        world.add_up(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous()
        ctx.world.share(gradient)
        return gradient[:, ctx.world.rows], None, None


def _logits(net: nn.Module, batch: Tensor, gates: Any) -> Sequence[Tensor]:
    logits: Sequence[Tensor] = net(batch) if gates is None else net(batch, gates)
    return logits


def _synchronised(net: nn.Module) -> nn.Module:
    """Return a twin of a network, with its very tensors, whose BatchNorm takes the statistics of all ranks' rows.

    The network itself keeps its own BatchNorm: rank 0 also runs it alone, to measure it for example.
    """
    shared = {id(tensor): tensor for tensor in chain(net.parameters(), net.buffers())}
    own = copy.deepcopy(net, shared)
    twin: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(own)  # type: ignore[no-untyped-call]
    return twin


def _own_device(world: World) -> Device:
    if world.rank.local >= torch.cuda.device_count():
        raise MangoError(too_few_gpus(world))
    return Device(f"cuda:{world.rank.local}")


def too_few_gpus(world: World) -> str:
    """Return what to say where a machine has more ranks than GPUs."""
    gpus, ranks = torch.cuda.device_count(), world.rank.local_size
    return f"{ranks} processes on a machine with {gpus} GPUs; start one for each: torchrun --nproc-per-node {gpus}"


def _drops(net: nn.Module) -> list[DropPath]:
    return [module for module in net.modules() if isinstance(module, DropPath)]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def _spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Give tensors the values that `_flat` made of others of their shapes."""
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))
