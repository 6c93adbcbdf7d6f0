"""Baselines are ordinary NetworkSpecs: priced, built, trained and stored like a searched network."""

import json

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from mango_grader.models import AnytimeClassifier, NetworkSpec, build_network
from mango_grader.models.baselines import BASELINES

LARGE = {"alexnet", "vgg16"}  # hundreds of megabytes of fully connected weights: shapes alone


def build(spec: NetworkSpec, where: str) -> AnytimeClassifier:
    torch.manual_seed(0)
    with torch.device(where):
        return build_network(spec).eval()


@pytest.mark.parametrize("name", BASELINES)
def test_costs_are_what_torch_counts_and_shapes_fit(name: str) -> None:
    spec = BASELINES[name]((3, 64, 64), 5)
    where = "meta" if name in LARGE else "cpu"
    network = build(spec, where)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        logits = network(torch.zeros(2, 3, 64, 64, device=where))
    assert counter.get_total_flops() == 2 * 2 * spec.macs()[-1]  # two images, two operations each
    assert sum(p.numel() for p in network.parameters()) == spec.params()[-1]
    assert [tuple(each.shape) for each in logits] == [(2, 5)] * len(spec.exits)
    assert spec.classes == 5


@pytest.mark.parametrize("name", BASELINES)
def test_json_round_trip(name: str) -> None:
    spec = BASELINES[name]((3, 64, 96), 3)
    assert NetworkSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize("name", ["msdnet", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_training_steps_fit_a_tiny_batch(name: str) -> None:
    network = build(BASELINES[name]((3, 32, 32), 3), "cpu").train()
    images, labels = torch.randn(9, 3, 32, 32), torch.arange(9) % 3
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = torch.stack([cross_entropy(logits, labels) for logits in network(images)]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad is not None for parameter in network.parameters())
