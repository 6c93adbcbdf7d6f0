from dataclasses import replace

import numpy as np
import pytest

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.spaces import MsdnetConfig, SearchSpace
from mango_grader.models.baselines import msdnet_spec

COMPACT = MsdnetConfig(128, 128, 5)
SPACE = SearchSpace(COMPACT)


def test_msdnet_itself_is_in_the_space():
    original = {d.name: ("conv7" if "conv7" in d.candidates else "conv3",) for d in SPACE.decisions}
    found, published = SPACE.resolve(Architecture(COMPACT, original)), msdnet_spec((3, 128, 128), 5)
    assert [node.op for node in found.nodes] == [node.op for node in published.nodes]
    assert (found.macs(), found.params()) == (published.macs(), published.params())


def test_each_layer_and_scale_is_decided_once_and_the_first_convolution_before_them():
    names = [decision.name for decision in SPACE.decisions]
    assert names[0] == "first_scale0"
    # Eight layers in three blocks of three, which keep three scales, then two, then one.
    assert names[1:] == [f"layer{n}_scale{s}" for n in range(1, 9) for s in range((n - 1) // 3, 3)]
    assert {decision.max_chosen for decision in SPACE.decisions} == {1}


def test_cheap_and_dear_architectures_differ_by_a_factor():
    macs = [SPACE.resolve(SPACE.sample(np.random.default_rng(seed))).macs()[-1] for seed in range(50)]
    assert max(macs) > 1.5 * min(macs)


def test_a_multiplier_scales_widths_and_keeps_the_scales_in_proportion():
    narrow = SearchSpace(replace(COMPACT, multiplier=0.5)).graph.shapes
    assert narrow["first_scale0"][0] == 8, "six, rounded to a multiple of four"
    assert narrow["layer1_scale1"][0] == 2 * narrow["layer1_scale0"][0] == 2 * (8 + 3)


@pytest.mark.parametrize(("setting", "words"), [({"operations": ("conv9",)}, "among"), ({"stem_kernels": (4,)}, "odd")])
def test_what_makes_no_network_is_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        replace(COMPACT, **setting)
