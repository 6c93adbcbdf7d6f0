"""An archive graded on a real Ray cluster of two nodes, of which one is lost on the way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "model.mango")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(IMAGES):
        Image.new("RGB", (40, 30), (number % 256, 120, 40)).save(folder / f"{number:04}.png")
    (folder / "torn.jpg").write_bytes(b"torn")
    return folder


@pytest.fixture(scope="module")
def alone(photos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of an archive that is graded on this machine, undisturbed."""
    out = tmp_path_factory.mktemp("alone") / "rows"
    assert subprocess.run(command(photos, model, out, "--workers", "1"), check=False).returncode == 3
    assert len(rows(out)) == IMAGES + 1
    return rows(out)


def hurt(action: Callable[[Any, Any], None], photos: Path, model: Path, out: Path) -> int:
    """Grade on two nodes, do something to the second after two shards, and return how many shards were left then."""
    with two_nodes() as (cluster, second):
        environment = {**os.environ, "RAY_ADDRESS": cluster.address}
        with subprocess.Popen(command(photos, model, out, "--on", "ray"), env=environment) as process:
            while len(list(out.glob("part-*.parquet"))) < 2:
                assert process.poll() is None, "it ended before its second shard"
                time.sleep(0.005)
            action(cluster, second)
            left = IMAGES // SHARD + 1 - len(list(out.glob("part-*.parquet")))
            assert process.wait(timeout=600) == 3
    return left


def test_an_archive_that_loses_a_node_has_the_rows_of_one_on_this_machine(
    alone: list[dict[str, Any]], photos: Path, model: Path, tmp_path: Path
) -> None:
    left = hurt(lambda cluster, node: cluster.remove_node(node, allow_graceful=False), photos, model, tmp_path / "rows")
    assert left > 0, "the node was lost too late to tell anything"
    assert rows(tmp_path / "rows") == alone
    assert not list((tmp_path / "rows").rglob("*.part")), "nothing torn is left"


def test_an_archive_does_not_wait_for_a_node_that_stands_still(
    alone: list[dict[str, Any]], photos: Path, model: Path, tmp_path: Path
) -> None:
    stopped: list[int] = []

    def stop(_: Any, node: Any) -> None:
        (raylet,) = node.all_processes["raylet"]
        stopped.extend(children(raylet.process.pid))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    left = hurt(stop, photos, model, tmp_path / "rows")
    assert stopped
    assert left > IMAGES // SHARD // 20, "it stood still too late to tell anything"
    assert rows(tmp_path / "rows") == alone


def children(pid: int) -> list[int]:
    """Return the processes that do the work of a node."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and (folder / "cmdline").read_bytes().startswith(b"ray::"):
                    found.append(int(folder.name))
    return found
