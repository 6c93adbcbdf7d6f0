import json
from pathlib import Path

import pytest
from bundles import CLASSES, make_bundle, solid
from commands import call
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mango-grader"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos" / "day 1"
    folder.mkdir(parents=True)
    for name in CLASSES:
        Image.fromarray(solid(name)).save(folder / f"{name}.jpg")
    return folder.parent


def test_what_bench_measured_is_printed_and_kept_for_info(bundle: Path, photos: Path, cache: Path) -> None:
    assert f"not measured yet; run mango-grader bench --model {bundle}" in call("info", bundle).stdout
    assert json.loads(call("info", bundle, "--json").stdout)["measured_here"] is None
    done = call("bench", "--model", bundle, "--data", photos, "--seconds", 0.3, "--workers", 2)
    assert done.exit_code == 0
    for shown in (
        "p99.9",
        "images/s",
        "ms per megapixel",
        str(photos),
        "loading fp32",
        "--precision auto takes fp32: ",
    ):
        assert shown in done.stdout
    assert f"kept in {cache}" in done.stdout
    assert "bench: 42/42" in done.stderr
    told = call("info", bundle).stdout
    assert "all stages fp32 0.0" in told
    assert "ms a megapixel (bench of 20" in told
    assert "not measured" not in told


def test_bench_as_json_is_what_info_reads_later(bundle: Path, photos: Path) -> None:
    done = call("bench", "--model", bundle, "--data", photos, "--seconds", 0.3, "--workers", 1, "--json")
    found = json.loads(done.stdout)
    assert [(one["precision"], one["workers"]) for one in found["latency"]] == [("fp32", 1), ("int8", 1)]
    assert list(found["latency"][0]["stages_ms"][0]) == ["p50", "p90", "p99", "p99.9"]
    assert found["memory"]["peak"] > 10
    assert found["auto_precision"]["precision"] == "fp32"
    path = found.pop("path")
    assert Path(path).is_file()
    told = json.loads(call("info", bundle, "--json").stdout)
    assert told["auto_precision"] == found.pop("auto_precision")
    assert told["measured_here"] == found


def test_drawn_jpegs_are_measured_without_photos(bundle: Path) -> None:
    found = json.loads(call("bench", "--model", bundle, "--seconds", 0.3, "--json", "--progress", "none").stdout)
    assert [one["images"] for one in found["decoding"]] == ["drawn JPEGs"] * 4
    sizes = [one["ms"] for one in found["decoding"]]
    assert sizes[3] > sizes[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--data", "nowhere"), "no such file or folder: nowhere"),
        (("--seconds", "0"), "0.0 is not in the range"),
        (("--workers", "0"), "0 is not in the range"),
        (("--provider", "cuda"), "cuda"),
    ],
)
def test_what_cannot_be_measured_is_refused(bundle: Path, options: tuple[str, ...], says: str) -> None:
    done = call("bench", "--model", bundle, *options)
    assert done.exit_code == 2
    assert says in done.stderr.lower() or says in done.stderr


@pytest.mark.parametrize("command", ["grade", "evaluate"])
def test_auto_precision_says_what_it_takes_and_why(bundle: Path, tmp_path: Path, command: str) -> None:
    for name in CLASSES:
        folder = tmp_path / "labelled" / name
        folder.mkdir(parents=True)
        Image.fromarray(solid(name)).save(folder / "1.png")
    target = (folder, "--out", tmp_path / "g.csv") if command == "grade" else ("--data", tmp_path / "labelled")
    done = call(command, *target, "--model", bundle, "--precision", "auto")
    assert done.exit_code == 0
    assert "precision fp32: not measured here yet; run mango-grader bench" in done.stderr


def test_a_deadline_uses_what_bench_kept(tmp_path: Path, photos: Path) -> None:
    slow = make_bundle(tmp_path / "slow.mango", products=40)
    found = json.loads(
        call("bench", "--model", slow, "--seconds", 1, "--workers", 1, "--json", "--data", photos).stdout
    )
    second = found["latency"][0]["stages_ms"][1]["p50"]
    for ms, wanted in ((second / 2, "1"), (60_000, "2")):
        out = tmp_path / f"{wanted}.csv"
        policy = f"deadline:{ms:.3f}ms"
        done = call("grade", photos, "--recursive", "--model", slow, "--policy", policy, "--workers", 1, "--out", out)
        assert done.exit_code == 0
        lines = out.read_text(encoding="utf-8").splitlines()
        column = lines[0].split(",").index("exit")
        assert [line.split(",")[column] for line in lines[1:]] == [wanted] * 3
