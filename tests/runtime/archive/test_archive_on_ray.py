"""An archive graded on a real Ray cluster of two nodes, of which one is lost on the way."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bundles import make_bundle
from PIL import Image
from two_nodes import two_nodes

pytest.importorskip("ray")

IMAGES, SHARD = 300, 5


def command(photos: Path, model: Path, out: Path, *more: str) -> list[str]:
    fixed = ["--shard-size", str(SHARD), "--progress", "none"]
    return [sys.executable, "-m", "mango_grader", "grade", str(photos), "--model", str(model), "--out", f"{out}/",
            *fixed, *more]  # fmt: skip


def rows(out: Path) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return [{name: value for name, value in row.items() if not name.endswith("_ms")} for row in table]


def test_an_archive_that_loses_a_node_has_the_rows_of_one_on_this_machine(tmp_path: Path) -> None:
    photos, model = tmp_path / "photos", make_bundle(tmp_path / "model.mango")
    photos.mkdir()
    for number in range(IMAGES):
        Image.new("RGB", (40, 30), (number % 256, 120, 40)).save(photos / f"{number:04}.png")
    (photos / "torn.jpg").write_bytes(b"torn")
    alone = subprocess.run(command(photos, model, tmp_path / "alone", "--workers", "1"), check=False)
    assert alone.returncode == 3

    out = tmp_path / "on ray"
    with two_nodes() as (cluster, lost):
        environment = {**os.environ, "RAY_ADDRESS": cluster.address}
        with subprocess.Popen(command(photos, model, out, "--on", "ray"), env=environment) as process:
            while len(list(out.glob("part-*.parquet"))) < 2:
                assert process.poll() is None, "it ended before its second shard"
                time.sleep(0.005)
            cluster.remove_node(lost, allow_graceful=False)
            left = IMAGES // SHARD + 1 - len(list(out.glob("part-*.parquet")))
            assert process.wait(timeout=600) == 3
    assert left > 0, "the node was lost too late to tell anything"
    assert rows(out) == rows(tmp_path / "alone")
    assert len(rows(out)) == IMAGES + 1
    assert not list(out.rglob("*.part")), "nothing torn is left"
