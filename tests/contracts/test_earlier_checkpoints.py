"""Checkpoints keep the names that earlier versions wrote: whoever updates may still resume.

Other tests show that a search reads what it wrote; this one, that it writes what it always wrote.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cases import SPACES
from searching import make

from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LiteConfig, SpaceConfig
from mango_grader.automl.timetable import StepSeconds, Stopwatch, Timetable
from mango_grader.progress import SilentProgress
from mango_grader.training.checkpoint import load_checkpoint

_BINARY = {"binary/logits", "binary/live", "binary/adam"}
_MODEL = ("embedding", "encoder", "posterior", "latent", "places", "decoder", "classifier")
_SAMPLER = {"sampler/archive", "sampler/fits", "sampler/optimiser", *(f"sampler/model/{part}" for part in _MODEL)}
_POLICY = ("cell", "embeddings", "classifiers")
METHODS = {
    "random": set[str](),
    "spos": set[str](),
    "enas": {
        *("best", "controller/baseline", "controller/optimiser"),
        *(f"controller/policy/{part}" for part in _POLICY),
    },
    "dso": {"ahead", "velocity", "margin"},
    "ms-ranas": {"alphas", "adam"},
    "tnas-os": {"epsilon", *_SAMPLER},
    "tnas-g": _BINARY | _SAMPLER,
    "proxylessnas": {"baseline", *_BINARY},
    "betanas": {"counts", *(f"trained/layer{number}" for number in (1, 2, 3)), *_BINARY},
}
# Digests, because a super net has hundreds of weights.
WEIGHTS = {
    "layerwise": "e8dbabe6c95f9500",
    "dag": "c829f0c7f894564e",
    "nasbench201": "3cb0d01faab6f166",
    "multiscale": "5e502e24171c5e14",
    "nasnet": "47b3009121e748a7",
    "mbconv": "65c3425b6dc483f8",
    "lite": "5efc9f68a023e4c0",
    "shufflenet": "b4156dfbcbe399e6",
}


def names(state: object, path: str = "") -> Iterator[str]:
    """Yield the path of everything stored: of a weight only its outermost module, of torch's optimisers no details."""
    if isinstance(state, Mapping) and path.split("/")[-1] not in ("adam", "optimiser"):
        for name, value in state.items():
            yield from names(value, f"{path}/{name.split('.')[0]}" if path else name)
    else:
        yield path


@pytest.mark.parametrize("method", METHODS)
def test_a_method_stores_what_it_always_stored(method: str) -> None:
    assert set(names(make(method, SPACES["layerwise"]).method.state_dict())) == METHODS[method]


@pytest.mark.parametrize("space", WEIGHTS)
def test_a_super_net_has_the_weights_that_it_always_had(space: str) -> None:
    config: SpaceConfig = SPACES[space]
    if isinstance(config, LiteConfig):
        config = replace(config, elastic=False)  # as all of them were
    weights = SearchSpace(config).supernet().state_dict()
    listed = "\n".join(f"{name} {tuple(value.shape)}" for name, value in weights.items())
    found = hashlib.sha256(listed.encode()).hexdigest()[:16]
    assert found == WEIGHTS[space], f"searches of {space} that an earlier version began can no longer be resumed"


def test_a_search_stores_what_it_always_stored(tmp_path: Path) -> None:
    search = make("random", SPACES["layerwise"], tmp_path / "search.safetensors")
    search.timetable = Timetable(search.method.schedule(4), StepSeconds(1, 1, 1, 1), 3, Stopwatch())
    search.run(SilentProgress())
    state = load_checkpoint(tmp_path / "search.safetensors")
    assert state.keys() == {"round", "counters", "method", "history", "timetable", "net", "optimiser"}
    assert state["counters"].keys() == {"weights", "architecture", "refit"}
    assert state["timetable"].keys() == {"seconds", "taken", "credit", "between", "paces"}
