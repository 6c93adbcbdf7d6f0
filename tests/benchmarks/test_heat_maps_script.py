"""The pointing game: a network that has learned lesions points at them, and a map that does not fit fails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import run_script
from torch.nn import functional as F

from benchmarks.suite.heat_maps import Marked, share_of_hits, with_lesions
from mango_grader.export import export_graphs
from mango_grader.export.chain import StageChain
from mango_grader.models import FromBytes, NetworkSpec, Node, build_network
from mango_grader.models.operations import Classifier, Convolution
from mango_grader.runtime.inference.heat_map import HeatMap, contrast
from mango_grader.synthetic import Series

SIDE = 64


def learned() -> tuple[StageChain, bytes]:
    """Train a network of two convolutions to tell A from B and C; return its stage and its class maps."""
    torch.manual_seed(2)
    fruit = [Series(3, size=SIDE).at(number) for number in range(240)]
    images = torch.from_numpy(np.stack([one.image for one in fruit]))
    labels = torch.tensor([int(one.grade != "A") for one in fruit])
    nodes = (
        Node("first", Convolution(3, 12, 5, 2), ("image",)),
        Node("second", Convolution(12, 24, 3, 2), ("first",)),
        Node("exit", Classifier(24, 2), ("second",)),
    )
    network, from_bytes = build_network(NetworkSpec((3, SIDE, SIDE), nodes, ("exit",))), FromBytes()
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(30):
        for batch in torch.randperm(len(images)).split(16):
            optimiser.zero_grad()
            F.cross_entropy(network(from_bytes(images[batch]))[0], labels[batch]).backward()
            optimiser.step()
    graphs = export_graphs(network.eval())
    return StageChain(graphs.stages), graphs.heat[0]


def test_peaks_hit_lesions_and_those_of_another_fruit_do_not() -> None:
    chain, heat = learned()
    fruit = with_lesions(Series(4, size=SIDE), 60)
    maps = chain.maps(np.stack([one.image for one in fruit]), 0, heat)
    peaks = [HeatMap(contrast(each, 1), "B", 1).peak for each in maps]
    hits = share_of_hits(fruit, peaks, maps.shape[2:])
    assert hits >= 0.8
    assert share_of_hits(fruit, peaks[1:] + peaks[:1], maps.shape[2:]) < 0.5


def test_a_hit_is_within_one_cell() -> None:
    lesions = np.zeros((40, 80), np.bool_)
    lesions[20, 40] = True
    fruit = Marked(np.zeros((40, 80, 3), np.uint8), "B", lesions, np.ones_like(lesions))
    beside = [
        ((40.5 + across) / 80, (20.5 + along) / 40)
        for across, along in ((0, 0), (7.9, 0), (7.9, -4.9), (8.1, 0), (0, 5.1))
    ]
    assert [share_of_hits([fruit], [point], (8, 10)) for point in beside] == [1, 1, 1, 0, 0]


def test_the_script_says_how_often_each_exit_hits(tmp_path: Path) -> None:
    scale = ("--fruit", "27", "--tested", "6", "--size", "32", "--budget", "0", "--epochs", "1")
    options = (*scale, "--jobs", "1", "--network", "msdnet")
    found = run_script("heat_maps", *options, out=tmp_path / "heat_maps.json")
    figures = found["measurements"]["msdnet"]["figures"]
    for part in ("validation", "test"):
        assert figures[part]["n"] == 6
        assert len(figures[part]["exits"]) == len(figures["macs"])
        assert sum(figures[part]["answered"]["exits"]) == 6
        for row in figures[part]["exits"]:
            assert 0 <= row["grade_against_others"] <= 1
            mean = (row["by_grade"]["B"] * 3 + row["by_grade"]["C"] * 3) / 6
            assert mean == pytest.approx(row["grade_against_others"], abs=0.34)
    assert [row["exit"] for row in found["summary"]][:2] == ["exit 1", "exit 2"]
    assert found["summary"][-1]["exit"] == figures["policy"]
