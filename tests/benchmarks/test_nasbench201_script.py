"""The replay, on made-up accuracies of all 15,625 cells: the more convolutions, the better."""

import csv
from itertools import product
from pathlib import Path

from scripts import measurements_done, run_script

OPERATIONS = {"none": 0, "skip_connect": 1, "nor_conv_1x1": 2, "nor_conv_3x3": 3, "avg_pool_3x3": 1}
WORST, SPAN = 30.0, 18  # six 3×3 convolutions add 18 points


def write_table(path: Path) -> Path:
    """Write accuracies that rise with the sum of the cell's operations; those of 200 epochs lie 10 points higher."""
    data = ("c10", "c100", "in16")
    columns = [f"{name}_{what}" for name in data for what in ("val12", "test200")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", *columns, "flops_m_c10"])
        for ops in product(OPERATIONS, repeat=6):
            a, b, c, d, e, f = ops
            cell = f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"
            total = sum(OPERATIONS[op] for op in ops)
            writer.writerow([cell, *(WORST + total, WORST + total + 10) * len(data), 10 + total])
    return path


def test_samplers_are_replayed_on_the_table(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table.csv")
    options = ("--table", str(table), "--many", "2", "--few", "2", "--jobs", "1")
    chosen = ("--method", "random", "--method", "evolution")
    out = tmp_path / "nasbench201.json"
    first = run_script("nasbench201", *options, *chosen, out=out)
    found = run_script("nasbench201", *options, *chosen, "--resume", out=out)
    assert measurements_done(found).items() >= measurements_done(first).items()  # nothing is measured twice
    rows = {(row["method"], row["data"]): row for row in found["summary"]}
    assert set(rows) == set(product(("random", "evolution"), ("cifar10", "cifar100", "imagenet16")))
    for row in rows.values():
        means = [row["test"][str(count)]["mean"] for count in (50, 100, 200, 500)]
        assert row["n"] == 2
        assert means == sorted(means)  # here what validates best tests best
        assert WORST + 10 < means[0] <= means[-1] <= WORST + 10 + SPAN
    best = {method: rows[method, "cifar10"]["test"]["500"]["mean"] for method in ("random", "evolution")}
    assert best["evolution"] == WORST + 10 + SPAN > best["random"]
    assert out.with_suffix(".png").stat().st_size > 2_000
