"""What the machinery costs: a single-path step of the super net against the same step of the plain network.

    python -m benchmarks.suite.step_speed --jobs 2

For every space of a preset, an architecture is drawn; super net and plain network take the same step (forward, loss,
backward, clip, optimiser) on the same images in turn, so that a slow moment of the machine hits both. Activation
memory is what autograd keeps for the backward pass, parameters left out: counted, not sampled. Then a plain network of
one space is trained with and without augmentation, batches included. One thread: two that spin are no faster on small
batches, and twice as noisy.

Time: minutes. Hardware: 1 otherwise idle CPU core. n: 20 paired steps a space.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.lib.measurements import Ledger, Measurement, measure_all
from benchmarks.lib.options import measurement_options
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import SPACES
from mango_grader.automl.supernet import gates_of
from mango_grader.models import FromBytes, build_network
from mango_grader.training.batches import Batches, Examples, copied_to
from mango_grader.training.device import Device, pick_device, seed_everything
from mango_grader.training.losses import AnytimeLoss
from mango_grader.training.recipe import WeightRecipe, step_with
from mango_grader.workflow.presets import PRESETS, Preset
from mango_grader.workflow.run.data import make_augmenter

_CLASSES = 3
_AUGMENTED = "layerwise"
_AUGMENTED_STEPS = 8
_RECIPE = WeightRecipe(optimiser="adamw", lr=1e-3, weight_decay=0.05, clip=5.0)


class Stepper:
    """One network and its optimiser, taking the same step again and again."""

    def __init__(self, net: nn.Module, forward: Callable[[Tensor], list[Tensor]], device: Device) -> None:
        self.net, self.forward, self.device = device.place(net), forward, device
        self.optimiser = _RECIPE.make_optimiser(net)
        self.loss, self.from_bytes = AnytimeLoss(), device.place(FromBytes())

    def value(self, images: Tensor, labels: Tensor) -> Tensor:
        with self.device.autocast():
            answers = self.forward(self.from_bytes(self.device.send(images)))
            loss: Tensor = self.loss(answers, self.device.send(labels))
            return loss

    def step(self, images: Tensor, labels: Tensor) -> None:
        self.net.train()
        self.value(images, labels).backward()  # type: ignore[no-untyped-call]
        step_with(self.optimiser, 1e-3, self.net.parameters(), _RECIPE.clip)

    def kept_bytes(self, images: Tensor, labels: Tensor) -> int:
        """Return the bytes that autograd keeps of one forward pass, parameters left out."""
        own = {p.untyped_storage().data_ptr() for p in self.net.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.value(images, labels)  # alive until here, so that no storage is counted twice or reused
        return sum(kept.values())

    def state_bytes(self) -> dict[str, int]:
        parameters = sum(p.numel() * p.element_size() for p in self.net.parameters())
        states = [value for state in self.optimiser.state.values() for value in state.values()]
        return {"parameters": parameters, "optimiser": sum(v.numel() * v.element_size() for v in states)}


def seconds(action: Callable[[], object], device: Device) -> float:
    """Return how long `action` takes until the device is done with it."""
    start = time.perf_counter()
    action()
    if device.is_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def space_of(preset: Preset, kind: str) -> SearchSpace:
    """Return a space as the preset searches it, for few classes."""
    setup = preset.setup
    return SearchSpace(replace(preset.space(kind, setup.height, setup.width), classes=_CLASSES))


def compare_steps(kind: str, name: str, place: str, repeats: int, seed: int) -> dict[str, Any]:
    """Return step times and memory of super net and plain network, over `repeats` paired steps of one path."""
    torch.set_num_threads(1)
    preset, device = PRESETS[name], pick_device(place)
    setup = preset.setup
    space = space_of(preset, kind)
    rng = np.random.default_rng(seed)
    seed_everything(seed)
    path = space.sample(rng)
    gates, supernet, plain = gates_of(path, space.decisions), space.supernet(), build_network(space.derive(path))
    both = {
        "super": Stepper(supernet, lambda images: supernet(images, gates), device),
        "plain": Stepper(plain, plain, device),
    }
    shape = (setup.search_batch, setup.height, setup.width, 3)
    images = torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, _CLASSES, setup.search_batch))
    for stepper in both.values():
        for _ in range(3):
            stepper.step(images, labels)
    kept = {name: stepper.kept_bytes(images, labels) for name, stepper in both.items()}
    times: dict[str, list[float]] = {name: [] for name in both}
    for repeat in range(repeats):
        order = list(both) if repeat % 2 else list(both)[::-1]
        for name in order:
            times[name].append(seconds(partial(both[name].step, images, labels), device))
    ratios = np.array(times["super"]) / np.array(times["plain"])
    return {
        "space": kind,
        "batch": setup.search_batch,
        "repeats": repeats,
        "step_seconds": {name: {"mean": np.mean(t), "sd": np.std(t, ddof=1)} for name, t in times.items()},
        "step_ratio": {"median": np.median(ratios), "mean": ratios.mean(), "sd": ratios.std(ddof=1)},
        "activation_bytes": kept,
        "activation_ratio": kept["super"] / kept["plain"],
        "state_bytes": {name: stepper.state_bytes() for name, stepper in both.items()},
    }


def compare_augmentation(kind: str, name: str, place: str, seed: int) -> dict[str, Any]:
    """Return images per second of training a plain network, batches included, with and without augmentation."""
    torch.set_num_threads(1)
    preset, device = PRESETS[name], pick_device(place)
    setup = preset.setup
    space = space_of(preset, kind)
    rng = np.random.default_rng(seed)
    seed_everything(seed)
    net = build_network(space.derive(space.sample(rng)))
    stepper = Stepper(net, net, device)
    count = 16 * setup.search_batch
    images = rng.integers(0, 256, (count, setup.height, setup.width, 3), dtype=np.uint8)
    kept = copied_to(images, device.torch) if device.keeps(images.nbytes) else images
    examples = Examples(kept, rng.integers(0, _CLASSES, count), np.arange(count))
    augmenter = make_augmenter(setup.augment, setup.height, setup.width, device)
    found = {}
    for name, executor in (("without", None), ("with", augmenter), ("without again", None), ("with again", augmenter)):
        batches = Batches(examples, setup.search_batch, seed, executor)

        def run(batches: Batches = batches) -> None:
            for step in range(_AUGMENTED_STEPS):
                batch = batches[step]
                stepper.step(batch.images, batch.labels)

        run()
        found[name] = _AUGMENTED_STEPS * setup.search_batch / seconds(run, device)
    without, augmented = max(found["without"], found["without again"]), max(found["with"], found["with again"])
    return {"space": kind, "images_per_second": {"without": without, "with": augmented}, "ratio": augmented / without}


def summarise(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the range of the step ratios over all spaces measured."""
    found = [each for name, each in figures.items() if name.startswith("step/")]
    ratios = [each["step_ratio"]["median"] for each in found]
    memory = [each["activation_ratio"] for each in found]
    return [
        {"what": what, "n": len(found), "least": min(values), "most": max(values)}
        for what, values in (("step ratio, median of its repeats", ratios), ("activation ratio", memory))
        if values
    ]


def show(figures: Mapping[str, Any]) -> None:
    click.echo(f"{'space':14}{'plain step':>14}{'super net':>14}{'ratio':>8}{'activations':>14}{'ratio':>8}")
    for name, row in figures.items():
        if name.startswith("augmentation/"):
            rates = row["images_per_second"]
            click.echo(f"{name}: {rates['with']:.0f} of {rates['without']:.0f} images/s, {row['ratio']:.1%}")
            continue
        plain, shared = (row["step_seconds"][side]["mean"] * 1e3 for side in ("plain", "super"))
        click.echo(
            f"{row['space']:14}{plain:11.1f} ms{shared:11.1f} ms{row['step_ratio']['median']:8.3f}"
            f"{row['activation_bytes']['super'] / 1e6:11.1f} MB{row['activation_ratio']:8.3f}"
        )


@click.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), default="quick", show_default=True)
@click.option("--space", "kinds", multiple=True, type=click.Choice(list(SPACES)), help="All of them unless named.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--repeats", type=click.IntRange(2), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@measurement_options("step_speed", minutes=20)
def main(
    preset: str,
    kinds: tuple[str, ...],
    device: str,
    repeats: int,
    seed: int,
    minutes: float,
    jobs: int,
    resume: bool,
    out: Path,
) -> None:
    setup = {"preset": preset, "device": device, "repeats": repeats, "seed": seed}
    ledger = Ledger("step_speed", out, setup, summarise)
    ledger.open(resume)
    measurements = [
        Measurement(f"step/{kind}", partial(compare_steps, kind, preset, device, repeats, seed))
        for kind in kinds or SPACES
    ]
    augmented = Measurement(
        f"augmentation/{_AUGMENTED}", partial(compare_augmentation, _AUGMENTED, preset, device, seed)
    )
    measure_all(ledger, [*measurements, augmented], minutes, jobs)
    ledger.save()
    show(ledger.figures)


if __name__ == "__main__":
    main()
