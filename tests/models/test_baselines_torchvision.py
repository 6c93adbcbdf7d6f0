"""torchvision's classifiers as one-node networks."""

import subprocess
import sys

import pytest
import torch
from torchvision import models

from mango_grader.errors import UsageError
from mango_grader.models import build_network
from mango_grader.models.baselines import torchvision_spec
from mango_grader.models.baselines.torchvision import TORCHVISION


@pytest.mark.parametrize("name", TORCHVISION)
def test_costs_are_the_ones_that_torchvision_publishes(name: str) -> None:
    published = models.get_model_weights(name).DEFAULT.meta
    spec = torchvision_spec(name, (3, 224, 224), 1000)
    assert spec.params() == (published["num_params"],)
    assert spec.macs()[0] / 1e9 == pytest.approx(published["_ops"], abs=6e-4)  # stated in units of 10⁹, 3 digits


@pytest.mark.parametrize("name", sorted(set(TORCHVISION) - {"alexnet"}))
def test_tiny_images_work(name: str) -> None:
    assert torchvision_spec(name, (3, 32, 32), 3).classes == 3


def test_too_small_images_are_refused_with_the_smallest_size() -> None:
    with pytest.raises(UsageError, match=r"alexnet needs images of at least 63×63 pixels, got 32×96"):
        torchvision_spec("alexnet", (3, 32, 96), 3)
    assert torchvision_spec("alexnet", (3, 63, 63), 3).exits == ("alexnet",)


def test_unknown_names_and_channels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"resnet19.*shufflenet_v2_x0_5"):
        torchvision_spec("resnet19", (3, 64, 64), 3)
    with pytest.raises(UsageError, match="3 channels, got 1"):
        torchvision_spec("resnet18", (1, 64, 64), 3)


def test_the_whole_model_is_one_stage_and_shares_its_weights() -> None:
    torch.manual_seed(0)
    network = build_network(torchvision_spec("shufflenet_v2_x0_5", (3, 32, 48), 3)).eval()
    images = torch.randn(2, 3, 32, 48)
    with torch.inference_mode():
        (stage,) = network.stages
        (logits,) = stage(images)
        torch.testing.assert_close(logits, network(images)[0], rtol=0, atol=0)


def test_no_weights_are_fetched_and_listing_names_loads_no_torchvision() -> None:
    """A baseline is untrained: building one opens no socket."""
    code = """
import sys
def forbid(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(event)
sys.addaudithook(forbid)
from mango_grader.models.baselines import BASELINES
assert "torchvision" not in sys.modules
from mango_grader.models import build_network
build_network(BASELINES["mobilenet_v3_small"]((3, 32, 32), 3))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
