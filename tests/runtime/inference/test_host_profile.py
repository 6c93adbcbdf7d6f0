import json
from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle, solid

from mango_grader.runtime import (
    Bundle,
    Deadline,
    DecodeCost,
    Grader,
    Host,
    HostProfile,
    Memory,
    StagedModel,
    StageLatency,
    Throughput,
)
from mango_grader.runtime.inference.host_profile import profile_path
from mango_grader.runtime.inference.measuring import measure_stages


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def profile_of(bundle: Bundle) -> HostProfile:
    first, second = tuple(np.linspace(1, 2, 101).tolist()), tuple(np.linspace(7, 6, 101).tolist())
    return HostProfile(
        host=Host.here(),
        model=bundle.digest,
        measured="2026-01-02T03:04:05+00:00",
        cores=2,
        latency=(
            StageLatency("fp32", "cpu", 1, (first, second)),
            StageLatency("fp32", "cpu", 4, ((20.0,), (30.0,))),
            StageLatency("int8", "cpu", 1, ((0.5,), (0.25,))),
        ),
        throughput=(Throughput("fp32", 8, 2, 120.5),),
        decoding=(DecodeCost("drawn JPEGs", 2.0, 5.0),),
        memory=Memory({"fp32": 3.5, "int8": 2.0}, 150.0),
    )


def test_quantiles_are_of_each_stage_and_of_the_whole_way(bundle: Path) -> None:
    latency = profile_of(Bundle.open(bundle)).latency[0]
    assert latency.quantiles()[0] == {"p50": 1.5, "p90": 1.9, "p99": 1.99, "p99.9": 1.999}
    assert latency.whole() == {"p50": 8.0, "p90": 8.0, "p99": 8.0, "p99.9": 8.0}, "one image's times are added"


def test_a_profile_is_read_as_it_was_written(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert HostProfile.read(opened) is None
    profile = profile_of(opened)
    path = profile.write(opened)
    assert HostProfile.read(opened) == profile
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(profile.to_dict()))
    assert profile.find("fp32", 4) == profile.latency[1]
    assert (profile.find("int8", 4), profile.find("fp32", 1, "cuda")) == (None, None)


def test_the_summary_has_quantiles_instead_of_samples(bundle: Path) -> None:
    summary = profile_of(Bundle.open(bundle)).summary()
    assert "samples" not in json.dumps(summary)
    assert summary["latency"][2]["stages_ms"][1]["p99"] == 0.25
    assert summary["latency"][0]["images"] == 101
    assert summary["decoding"] == [{"images": "drawn JPEGs", "megapixels": 2.0, "ms": 5.0, "ms_per_megapixel": 2.5}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", {"cpu": "another", "machine": "x", "onnxruntime": "1"}), ("model", "0" * 64), ("latency", 5),
        ("latency", [{"precision": "fp32", "provider": "cpu", "workers": 1, "samples": [[1.0], [-1.0]]}]),
        ("latency", [{"precision": "fp32", "provider": "cpu", "workers": 1, "samples": [[1.0], [1.0, 2.0]]}]),
        ("latency", [{"precision": "fp32", "provider": "cpu", "workers": 1, "samples": [[1.0]]}]),
        ("latency", [{"precision": "fp32", "provider": "cpu", "workers": 1, "samples": []}]),
        ("throughput", [{"speed": 1}]), ("memory", "much"), ("decoding", None),
    ],
)  # fmt: skip
def test_a_profile_that_cannot_be_used_counts_as_none(bundle: Path, name: str, value: object) -> None:
    opened = Bundle.open(bundle)
    path = profile_of(opened).write(opened)
    path.write_text(json.dumps(profile_of(opened).to_dict() | {name: value}), encoding="utf-8")
    assert HostProfile.read(opened) is None
    for text in ("", "no JSON", "[]", "null"):
        path.write_text(text, encoding="utf-8")
        assert HostProfile.read(opened) is None


def test_a_changed_model_has_a_profile_of_its_own(bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other.mango", noise=1.0)
    assert profile_path(Bundle.open(bundle)) != profile_path(Bundle.open(other))


def test_a_deadline_begins_with_what_bench_measured(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    profile_of(opened).write(opened)
    policy = Grader.load(bundle, "cpu", policy="deadline:100ms").policy
    assert isinstance(policy, Deadline)
    assert [policy.times.expected(stage) for stage in (0, 1)] == pytest.approx([1.99, 6.99])
    int8 = Grader.load(bundle, "cpu", "int8")
    assert [int8.stage_times().expected(stage) for stage in (0, 1)] == [0.5, 0.25]
    four = Grader.load(bundle, "cpu", policy="deadline:25ms").grade_many([solid("red")], workers=4)
    assert [record.exit for record in four] == [1], "with four workers the second stage took 30 ms"


@pytest.mark.parametrize("workers", [1, 3])
def test_measured_times_are_of_every_stage_in_order(bundle: Path, workers: int) -> None:
    opened = Bundle.open(bundle)
    model, images = StagedModel.load(opened, "cpu"), opened.golden().images
    samples = measure_stages(model, images, 0.02, workers)
    assert len(samples) == 2
    assert len(samples[0]) == len(samples[1]) >= 10 * workers
    assert all(0 < one < 1e4 for row in samples for one in row)
    assert len(measure_stages(model, images, 60.0, workers, most=20)[0]) == 20
