"""An archive in a bucket of an S3 server on the loopback, graded by the command as a user calls it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from buckets import SERVER, s3_server
from bundles import CLASSES, make_bundle, solid
from PIL import Image

from mango_grader.files import read_json

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="the S3 server is installed by `make test`")

FILL = """
import os, sys
from pathlib import Path
from pyarrow.fs import S3FileSystem
host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
s3, home = S3FileSystem(allow_bucket_creation=True, endpoint_override=host, scheme="http"), Path(sys.argv[1])
s3.create_dir("fruit")
for path in home.rglob("*"):
    if path.is_file():
        with s3.open_output_stream(f"fruit/{path.relative_to(home).as_posix()}") as out:
            out.write(path.read_bytes())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment of a program that finds the bucket "fruit": 12 photos of two days, and a torn one."""
    home = tmp_path_factory.mktemp("bucket")
    for number in range(12):
        folder = home / "photos" / f"day {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(solid(sorted(CLASSES)[number % len(CLASSES)])).save(folder / f"{number:02}.png")
    (home / "photos" / "day 1" / "torn.jpg").write_bytes(b"torn")
    with s3_server(home) as environment:
        subprocess.run([sys.executable, "-c", FILL, home], env=environment, check=True)
        yield environment


def grade(source: str, model: Path, out: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mango_grader", "grade", source, "--model", str(model), "--out", f"{out}/"]
    more = ["--shard-size", "5", "--workers", "1", "--progress", "none"]
    return subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return found


def test_every_object_has_a_row(server: Mapping[str, str], tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "model.mango")
    done = grade("s3://fruit/photos", model, tmp_path / "rows", server)
    assert done.returncode == 3, done.stderr
    found = rows(tmp_path / "rows")
    names = [f"s3://fruit/photos/day {number % 2}/{number:02}.png" for number in range(12)]
    assert [row["path"] for row in found] == sorted([*names, "s3://fruit/photos/day 1/torn.jpg"])
    graded = {row["path"]: row["grade"] for row in found if not row["error"]}
    assert graded == {name: sorted(CLASSES)[number % len(CLASSES)] for number, name in enumerate(names)}
    assert len(list((tmp_path / "rows").glob("part-*.parquet"))) == 3
    assert read_json(tmp_path / "rows" / "_summary.json")["errors"] == 1


def test_an_object_that_is_not_there_has_a_row_with_its_error(server: Mapping[str, str], tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "model.mango")
    listed = tmp_path / "list.csv"
    listed.write_text("path\ns3://fruit/photos/day 0/00.png\ns3://fruit/photos/gone.png\n")
    done = grade(str(listed), model, tmp_path / "rows", server)
    assert done.returncode == 3, done.stderr
    first, second = rows(tmp_path / "rows")
    assert first["grade"]
    assert not first["error"]
    assert second["error"].startswith("cannot be read")


def test_a_bucket_that_is_not_there_is_refused_in_one_line(server: Mapping[str, str], tmp_path: Path) -> None:
    done = grade("s3://no-such-bucket", make_bundle(tmp_path / "model.mango"), tmp_path / "rows", server)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "s3://no-such-bucket" in done.stderr
