from dataclasses import replace

import numpy as np
import pytest
from exporting import random_images, three_exits

from mango_grader.automl.movement import Movement, Pick
from mango_grader.datasets.probe import ProbeResult
from mango_grader.datasets.summary import DataSummary, PartSummary
from mango_grader.report import Reference, ReportData, pick_examples
from mango_grader.runtime.exits import Full, Threshold, stop_exits
from mango_grader.training.bootstrap import Estimate
from mango_grader.training.metrics import EvaluationSet, exit_metrics, policy_metrics

CLASSES = ("A", "B & co", "C <last>")


@pytest.fixture(scope="session")
def data() -> ReportData:
    """A whole report's content: three exits, 90 test images of 30 fruit, search and training history."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    logits = rng.normal(size=(3, 90, 3))
    logits[:, np.arange(90), labels] += np.array([[1.0], [1.8], [2.6]])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    groups = [f"fruit{index // 3}" for index in range(90)]
    spec, policy = three_exits(), Threshold((0.8, 0.7))
    images = random_images(90)
    evaluated = EvaluationSet(labels, groups, CLASSES, ordinal=True)
    costs = {"probabilities": probabilities, "evaluated": evaluated, "macs": spec.macs()}
    weights = [{"phase": "search-weights", "round": n, "loss": 2 / n} for n in range(1, 31)]
    controller = [{"phase": "search-architecture", "round": n, "reward": 0.5, "entropy": 9.0} for n in range(31, 41)]
    candidates = [{"phase": "search-candidate", "score": 0.1 * n, "cost": [1e6, n * 1e6]} for n in range(1, 6)]
    training = [{"phase": "train", "epoch": n, "loss": 1 / n, "val_accuracy": [0.5, 0.6, 0.7]} for n in range(1, 9)]
    return ReportData(
        title="Mangoes <2026>",
        classes=CLASSES,
        ordinal=True,
        exits=exit_metrics(**costs, params=spec.params()),
        policies=(policy_metrics("full", Full(), **costs), policy_metrics("threshold", policy, **costs)),
        default_policy="threshold",
        default_reason="fifty fruit bound what it costs",
        spec=spec,
        preferences={f"layer{n}.<kernel>": {"k3": 0.9 - 0.01 * n, "k5": 0.1 + 0.01 * n} for n in range(1, 51)},
        movement=Movement(0.31, 0.012, (12, 72), 0.298, Pick(5, 0.031, 0.152, 0.02)),
        choices={f"layer{n}.<kernel>": ["k3"] for n in range(1, 51)},
        history=[*weights, *controller, *candidates, *training],
        examples=pick_examples(
            lambda row: images[row],
            [f"C <last>/photo {row}.jpg" for row in range(90)],
            labels,
            probabilities,
            stop_exits(policy, probabilities),
            each=5,
        ),
        data=DataSummary(
            "mangoes, 300 images",
            (
                PartSummary("train", (50, 60, 70), 60),
                PartSummary("val", (10, 10, 10), 10),
                PartSummary("test", (30, 30, 30), 30),
            ),
            ("2 files could not be read.",),
            ProbeResult(0.61, 0.35, 100),
        ),
        references=(Reference("ShuffleNetV2", 2_000_000, Estimate(0.7, 0.6, 0.8)),),
        settings={"seed": 7, "search": {"method": "enas", "rates": [0.1, 0.01]}},
        provenance={"version": "0.1.0", "created": "2026-01-01"},
    )


@pytest.fixture(scope="session")
def bare(data: ReportData) -> ReportData:
    """What an evaluation of somebody else's bundle knows: figures of the exits, and nothing else."""
    nothing = {
        "policies": (),
        "spec": None,
        "history": (),
        "preferences": {},
        "choices": {},
        "movement": None,
        "examples": (),
        "data": None,
        "references": (),
    }
    return replace(data, **nothing, ordinal=False, settings={}, provenance={})
