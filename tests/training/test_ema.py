"""The moving average of weights."""

import torch

from mango_grader.models import NetworkSpec, Node, build_network
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.models.spec import IMAGE
from mango_grader.training.learner import MovingAverage

SPEC = NetworkSpec(
    (3, 8, 8),
    (Node("stem", Convolution(3, 4, 3), (IMAGE,)), Node("exit", Classifier(4, 2), ("stem",))),
    ("exit",),
)


def test_it_is_the_recursion_written_out_buffers_included() -> None:
    torch.manual_seed(0)
    learner, follower = build_network(SPEC).train(), build_network(SPEC)
    average = MovingAverage(follower, learner, decay=0.6)
    expected = {name: value.clone() for name, value in follower.state_dict().items()}
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
    for step in range(12):
        learner(torch.randn(4, 3, 8, 8))[0].square().mean().backward()
        optimiser.step()
        average.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        for name, value in learner.state_dict().items():
            mixed = decay * expected[name] + (1 - decay) * value if value.is_floating_point() else value.clone()
            expected[name] = mixed
    for name, value in follower.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=lambda text, name=name: f"{name}: {text}")
    assert not torch.equal(follower.state_dict()["nodes.stem.1.running_var"], torch.ones(4))
    assert follower.state_dict()["nodes.stem.1.num_batches_tracked"] == 12


def test_the_decay_warms_up_to_its_value() -> None:
    average = MovingAverage(build_network(SPEC), build_network(SPEC), decay=0.99)
    decays = [average.decay_at(step) for step in range(2000)]
    assert decays == sorted(decays)
    assert decays[0] == 0.1
    assert decays[-1] == 0.99
