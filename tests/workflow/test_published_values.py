"""The preset `paper`, method by method, against the values that the papers print."""

from typing import Any

import pytest

from mango_grader import SearchOptions
from mango_grader.automl.search_space import SearchSpace
from mango_grader.workflow.config import RunConfig

# Setting → published value; names as --set takes them.
PUBLISHED: dict[str, dict[str, Any]] = {
    "ms-ranas": {
        "method.order": 1,
        "method.epochs": 50,
        "method.lr": 3e-4,
        "method.betas": [0.5, 0.999],
        "method.decay": 1e-3,
        "method.held_out": 0.5,
        "method.weights.lr": 0.025,
        "method.weights.final_lr": 0.001,
        "method.weights.momentum": 0.9,
        "method.weights.weight_decay": 3e-4,
        "method.weights.clip": 5.0,
        "search.batch_size": 64,
        "space.depth": 5,
        "space.scales": 3,
        "space.channels": 16,
        "space.nodes": 4,
        "space.exits": [2, 3, 4, 5],
    },
    "betanas": {
        "method.weights.lr": 0.1,
        "method.binary.lr": 1e-3,
        "method.binary.paths": "two",
        "method.balance": "uniform",
        "search.batch_size": 1024,
        "train.epochs": 350,
        "train.batch_size": 2048,
        "train.weights.lr": 1.4,
        "train.weights.weight_decay": 2e-5,
        "train.dropout": 0.2,
        "train.label_smoothing": 0.1,
        "augment.policy": "imagenet",
        "space.kernels": [3, 5, 7],
        "space.expansions": [3, 6],
    },
    "dso": {
        "method.pretrain": 120,
        "method.epochs": 120,
        "method.gamma": 1e-3,
        "method.momentum": 0.9,
        "method.held_out": 0.5,
        "method.ratio": 1,
        "method.adaptive": "flops",
        "method.nonnegative": True,
        "method.weights.lr": 0.1,
        "method.weights.final_lr": 0.1,
        "method.weights.nesterov": True,
        "method.weights.momentum": 0.9,
        "method.weights.weight_decay": 1e-4,
        "method.weights.frozen_scale": True,
        "search.batch_size": 128,
        "space.stages": [8, 8, 8],
        "space.levels": 4,
        "space.operations": ["sep3", "sep5", "avg3", "max3"],
        "train.drop_path": 0.5,
        "train.dropout": 0.6,
        "train.auxiliary": 0.4,
        "augment.cutout": 0.5,
        "data.height": 32,
    },
    "tnas-os": {
        "method.evolution.population": 50,
        "method.evolution.generations": 20,
        "method.evolution.parents": 10,
        "method.evolution.crossovers": 25,
        "method.evolution.mutations": 25,
        "method.evolution.probability": 0.1,
        "method.vae.kl_weight": 1.0,
        "space.kernels": [3, 5, 7],
        "space.xception": True,
    },
    "tnas-g": {"method.vae.kl_weight": 1.0, "method.held_out": 0.5},
    "spos": {
        "method.evolution.population": 50,
        "method.evolution.generations": 20,
        "method.evolution.parents": 10,
        "method.evolution.crossovers": 25,
        "method.evolution.mutations": 25,
        "method.evolution.probability": 0.1,
    },
    "enas": {
        "method.schedule": "two_phases",
        "method.epochs": 100,
        "method.steps": 5000,
        "method.held_out": 0.2,
        "method.controller.hidden": 100,
        "method.controller.lr": 0.1,
        "method.weights.lr": 0.01,
        "method.weights.momentum": 0.9,
        "method.weights.weight_decay": 5e-4,
        "search.batch_size": 128,
        "train.epochs": 100,
        "train.weights.lr": 0.001,
        "data.height": 24,
        "data.width": 32,
    },
}


def value(config: RunConfig, name: str) -> Any:
    path = name.split(".")
    place: Any = config.to_dict()
    for part in ["search", *path] if path[0] in ("method", "space") else path:
        place = place[part]
    return place


@pytest.mark.parametrize("method", PUBLISHED)
def test_the_paper_preset_has_what_the_paper_prints(method: str) -> None:
    config = SearchOptions(data=".", preset="paper", method=method).config()
    found = {name: value(config, name) for name in PUBLISHED[method]}
    assert found == PUBLISHED[method]


def test_nas_bench_201_has_15625_cells() -> None:
    config = SearchOptions(data=".", preset="paper", method="random", space="nasbench201").config()
    assert config.search is not None
    count = 1
    for decision in SearchSpace(config.search.space).decisions:
        count *= decision.options
    assert count == 15_625
