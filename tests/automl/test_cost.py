"""Expected costs against the mean over all architectures."""

from itertools import product

import numpy as np
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.cost import macs
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig

# Shrinking skips cost something, "none" leaves a choice without an output, and each exit needs another part.
CONFIG = LayerwiseConfig(12, 12, 2, depth=2, channels=8, reduce_at=(2,), kernels=(3, 5), dilations=(1,), exits=(1, 2))


def test_expected_cost_is_the_mean_over_all_architectures() -> None:
    space = SearchSpace(CONFIG)
    rng = np.random.default_rng(0)
    chances = {d.name: rng.dirichlet(np.ones(len(d.candidates))) for d in space.decisions}
    mean = np.zeros(2)
    for chosen in product(*(range(len(d.candidates)) for d in space.decisions)):
        picks = list(zip(space.decisions, chosen, strict=True))
        probability = np.prod([chances[d.name][index] for d, index in picks])
        mean += probability * macs(space).exact(
            Architecture(CONFIG, {d.name: (d.candidates[index],) for d, index in picks})
        )
    expected = macs(space).expected({name: torch.from_numpy(values) for name, values in chances.items()})
    np.testing.assert_allclose(expected.numpy(), mean)
