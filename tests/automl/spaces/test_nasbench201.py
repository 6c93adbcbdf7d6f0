"""The benchmark's cells: their names, their costs, and those of which nothing is left."""

import csv
from itertools import product

import numpy as np
import pytest
import torch
from photos import real_data

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import NasBench201Config
from mango_grader.automl.spaces.nasbench201 import cell_choices, cell_string
from mango_grader.models import build_network
from mango_grader.models.spec import NetworkSpec

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
BENCHMARK = SearchSpace(NasBench201Config(32, 32, 10, exits=(15,)))
SMALL = SearchSpace(NasBench201Config(9, 11, 3, channels=4, cells=1, exits=(1, 3)))
BIASES = 10  # The benchmark counts an addition for each bias of its linear layer.


def named(*operations: str) -> str:
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def derive(space: SearchSpace, text: str) -> NetworkSpec:
    assert isinstance(space.config, NasBench201Config)
    return space.derive(Architecture(space.config, cell_choices(text)))


def test_every_cell_has_one_name_and_is_found_by_it() -> None:
    names = {named(*operations) for operations in product(OPERATIONS, repeat=6)}
    assert len(names) == 15625
    assert all(cell_string(cell_choices(name)) == name for name in names)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nor_conv_3x3",
        named("none", "none", "none", "none", "none", "sep_conv_3x3"),
        named("none", "none", "none", "none", "none", "none")[:-1],
        named("none", "none", "none", "none", "none", "none") + "\n",
        "|none~0|+|none~0|none~1|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "|none~0|none~0|none~1|none~0|none~1|none~2|",
    ],
)
def test_what_names_no_cell_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a cell of NAS-Bench-201: .+$") as caught:
        cell_choices(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "params", "macs"),
    [
        (("avg_pool_3x3", "skip_connect", "none", "none", "none", "skip_connect"), 73_306, 7_783_050),
        (("nor_conv_3x3",) * 6, 1_531_546, 220_119_690),
        (("nor_conv_3x3", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_3x3", "skip_connect"),
         802_426, 113_951_370),
    ],
)  # fmt: skip
def test_published_cells_cost_what_the_benchmark_says(cell: tuple[str, ...], params: int, macs: int) -> None:
    spec = derive(BENCHMARK, named(*cell))
    assert spec.params() == (params,)
    assert spec.macs() == (macs - BIASES,)


def test_the_whole_table_is_read_and_its_costs_are_ours() -> None:
    with (real_data("nasbench201") / "nasbench201.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    config = BENCHMARK.config
    assert isinstance(config, NasBench201Config)
    assert {cell_string(cell_choices(row["arch"])) for row in rows} == {row["arch"] for row in rows}
    alike = 0
    for row in rows[::60]:
        spec = derive(BENCHMARK, row["arch"])
        params, macs = round(1e6 * float(row["params_m_c10"])), round(1e6 * float(row["flops_m_c10"]))
        more = (params - spec.params()[0], macs - BIASES - spec.macs()[0])
        alike += more == (0, 0)
        # The benchmark also counts convolutions of which nothing reaches the output.
        assert more[0] >= 0
        assert (more[0] == 0) == (more[1] == 0)
    assert alike > 0.6 * len(rows[::60])


def test_edges_lead_where_the_name_says() -> None:
    spec = derive(SMALL, named("nor_conv_3x3", "none", "nor_conv_1x1", "none", "none", "avg_pool_3x3"))
    chain = [node.name for node in spec.nodes if node.name.startswith("cell2")]
    assert [name.split("/")[-1] for name in chain] == [
        "nor_conv_3x3", "node1", "nor_conv_1x1", "node2", "avg_pool_3x3", "cell2",
    ]  # fmt: skip
    direct = derive(SMALL, named("nor_conv_3x3", "none", "nor_conv_1x1", "nor_conv_1x1", "none", "none"))
    assert [n.name for n in direct.nodes if n.name.startswith("cell2")] == ["cell2/edge03/nor_conv_1x1", "cell2"]


@pytest.mark.parametrize("operation", ["skip_connect", "nor_conv_1x1"])
def test_every_pattern_of_missing_edges_builds_and_answers(operation: str) -> None:
    images = torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    for pattern in product(("none", operation), repeat=6):
        spec = derive(SMALL, named(*pattern))
        assert [tuple(logits.shape) for logits in build_network(spec).eval()(images)] == [(2, 3), (2, 3)]
        a, b, c, d, e, f = (name != "none" for name in pattern)
        reached = d or (a and e) or ((b or (a and c)) and f)
        assert any(node.op.kind == "zero" for node in spec.nodes) == (not reached)


def test_a_cell_of_nothing_hides_the_image() -> None:
    net = build_network(derive(SMALL, named(*["none"] * 6))).eval()
    first, second = torch.randn(2, 1, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(net(first), net(second), strict=True))


@pytest.mark.parametrize(("height", "width", "stride"), [(24, 32, 1), (120, 160, 2), (224, 224, 4)])
def test_images_of_many_sizes_fit(height: int, width: int, stride: int) -> None:
    space = SearchSpace(NasBench201Config(height, width, 3, cells=1, stem_stride=stride, exits=(1, 2, 3)))
    spec = space.derive(space.sample(np.random.default_rng(0)))
    assert [spec.shapes[f"cell{number}"] for number in (1, 3)] == [
        (16, height // stride, width // stride),
        (64, height // stride // 4, width // stride // 4),
    ]
    build_network(spec).eval()(torch.zeros(1, 3, height, width))


def test_exits_that_do_not_end_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="end at the last block, 15"):
        NasBench201Config(32, 32, 10, exits=(5, 10))
