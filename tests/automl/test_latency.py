"""The table of measured latencies: what is measured, what is kept, and what comes of it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.latency import LatencyTable, compare, default_path, host, latency, places
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.files import read_json
from mango_grader.models import NetworkSpec, Node
from mango_grader.models.operations import Add, Classifier, DropPath, Identity, Pool, Zero
from mango_grader.models.spec import IMAGE

SPACE = SearchSpace(LayerwiseConfig(12, 12, 2, depth=2, channels=8, kernels=(3,), dilations=(1,), exits=(1, 2)))
POOL, SHAPE = Pool(maximum=True), (4, 8, 8)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the whole space."""
    path = tmp_path_factory.mktemp("cache") / "table.json"
    latency(SPACE, LatencyTable(path))
    return path


def test_the_cost_is_the_sum_of_prices_and_what_any_run_costs(path: Path) -> None:
    table = LatencyTable(path)
    cost = latency(SPACE, table)
    # All skips are there: of sums that lack some, the expected cost has the price of the whole sum.
    architecture = Architecture(SPACE.config, {d.name: d.candidates[-1:] for d in SPACE.decisions})
    spec, times = SPACE.derive(architecture), cost.exact(architecture)
    base = table.base(12, 12, 2)
    prices = [table.price(node.op, [spec.shapes[name] for name in node.inputs]) for node in spec.nodes]
    assert times[-1] - base[-1] == pytest.approx(sum(prices))
    assert sum(cost.by_block(architecture.choices).values()) == pytest.approx(sum(prices))
    assert table.predict(spec) == pytest.approx(times)
    assert 0 < base[0] < times[0] < times[1] < math.inf
    sure = {
        d.name: torch.tensor([float(c in architecture.choices[d.name]) for c in d.candidates]) for d in SPACE.decisions
    }
    assert cost.expected(sure).numpy() == pytest.approx(times)
    assert cost.unit == "ms"


def test_what_was_measured_is_not_measured_again(path: Path) -> None:
    before = path.read_bytes()
    table = LatencyTable(path)
    latency(SPACE, table)
    rng = np.random.default_rng(0)
    for _ in range(10):  # every operation that an architecture can hold was among the space's
        table.predict(SPACE.derive(SPACE.sample(rng)))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: json.dumps(good)[:-20],
        lambda good: "[]",
        lambda good: json.dumps({**good, "host": {**good["host"], "cpu": "another"}}),
        lambda good: json.dumps({**good, "times": {**good["times"], "call": -1.0}}),
        lambda good: json.dumps({**good, "times": {**good["times"], "call": None}}),
        lambda good: json.dumps({name: value for name, value in good.items() if name != "networks"}),
    ],
)
def test_a_file_that_cannot_be_used_counts_as_none(path: Path, tmp_path: Path, damage: object) -> None:
    assert LatencyTable(path).fitted
    assert callable(damage)
    (tmp_path / "table.json").write_text(damage(read_json(path)))
    assert not LatencyTable(tmp_path / "table.json").fitted


def test_a_damaged_file_is_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(b"\x00 torn")
    price = LatencyTable(path).price(POOL, [SHAPE])
    assert 0 < price < math.inf
    assert LatencyTable(path).price(POOL, [SHAPE]) == price


def test_what_another_process_measured_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    first, second = LatencyTable(path), LatencyTable(path)
    prices = first.price(POOL, [SHAPE]), second.price(POOL, [(8, 8, 8)])
    both = LatencyTable(path)
    assert (both.price(POOL, [SHAPE]), both.price(POOL, [(8, 8, 8)])) == prices
    assert len(read_json(path)["times"]) == 2


def test_what_computes_nothing_costs_nothing(tmp_path: Path) -> None:
    table = LatencyTable(tmp_path / "table.json")
    assert table.price(Identity(), [SHAPE]) == table.price(Zero(), [SHAPE]) == table.price(DropPath(0.1), [SHAPE]) == 0
    assert table.price(Add(activate=False), [SHAPE]) == 0
    assert not (tmp_path / "table.json").exists()


def test_measuring_draws_no_random_numbers(tmp_path: Path) -> None:
    table = LatencyTable(tmp_path / "table.json")
    spec = NetworkSpec((3, 8, 8), (Node("exit", Classifier(3, 2), (IMAGE,)),), ("exit",))
    before = torch.get_rng_state()
    assert (table.measured([spec])[0] > 0).all()
    assert table.predict(spec)[-1] > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_whole_networks_are_compared_exit_by_exit(path: Path) -> None:
    rng = np.random.default_rng(0)
    found = compare([SPACE.sample(rng) for _ in range(3)], LatencyTable(path))
    assert found.predicted.shape == found.measured.shape == (3, 2)
    assert (found.measured > 0).all()
    assert (np.diff(found.measured) > 0).all()
    assert all(error >= 0 for error in found.median_error())
    exact = type(found)(np.array([[1.0], [2.0], [4.0]]), np.array([[2.0], [4.0], [5.0]]))
    assert exact.kendall_tau() == [1.0]
    assert exact.median_error() == [0.5]


def test_a_host_has_one_table_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path().parent == tmp_path / "mango-grader"
    assert default_path() == default_path()
    assert host()["threads"] == 1
    assert host()["cpu"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path().parent == tmp_path / ".cache" / "mango-grader"


def test_a_space_yields_all_sums_that_can_remain() -> None:
    sums = {len(shapes) for op, shapes in places(SPACE) if isinstance(op, Add)}
    assert sums == {1, 2}
