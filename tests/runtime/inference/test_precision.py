import dataclasses
from pathlib import Path

import numpy as np
import pytest
from bundles import change_bundle, make_bundle

from mango_grader.errors import BundleError
from mango_grader.runtime import Bundle, CalibrationData, Grader, Host, HostProfile, StageLatency, choose_precision
from mango_grader.runtime.bundle.arrays import to_npy


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def calibrated(path: Path, flips: int, images: int = 1000) -> Path:
    """Write a bundle whose int8 stages answer so many calibration images differently at the last exit."""
    logits = np.zeros((2, images, 3), np.float32)
    logits[:, :, 0] = 1
    make_bundle(path, calibration=CalibrationData(logits, np.arange(images, dtype=np.int32)))
    logits[1, :flips, 1] = 2

    def change(parts: dict[str, bytes]) -> None:
        parts["calibration/int8/logits.npy"] = to_npy(logits)

    return change_bundle(path, change)


def measured(path: Path, fp32: float, int8: float) -> Bundle:
    """Keep a profile of a bundle with these milliseconds for the second stage and 1 ms for the first."""
    bundle = Bundle.open(path)
    latency = tuple(
        StageLatency(name, "cpu", 1, ((1.0, 1.0), (ms, ms))) for name, ms in (("fp32", fp32), ("int8", int8))
    )
    HostProfile(host=Host.here(), model=bundle.digest, measured="", cores=2, latency=latency).write(bundle)
    return bundle


def test_nothing_measured_is_fp32_and_says_how_to_measure(bundle: Path) -> None:
    choice = choose_precision(Bundle.open(bundle))
    assert (choice.precision, f"run mango-grader bench --model {bundle}" in choice.reason) == ("fp32", True)


@pytest.mark.parametrize(
    ("int8", "flips", "taken", "says"),
    [
        (4.0, 0, "int8", "5 ms an image against 10 ms in fp32; it changes 0.0% of the grades"),
        (4.0, 5, "int8", "changes 0.5% of the grades at exit 2"),
        (4.0, 6, "fp32", "int8 is faster here (5 ms an image against 10 ms in fp32), but changes 0.6%"),
        (8.4, 0, "int8", "9.4 ms"),
        (8.6, 0, "fp32", "int8 is hardly faster here (9.6 ms"),
        (20.0, 0, "fp32", "int8 is slower here (21 ms an image against 10 ms in fp32)"),
    ],
)
def test_int8_is_taken_only_where_it_is_faster_and_answers_the_same(
    tmp_path: Path, int8: float, flips: int, taken: str, says: str
) -> None:
    path = calibrated(tmp_path / "m.mango", flips)
    choice = choose_precision(measured(path, 9.0, int8))
    assert choice.precision == taken
    assert says in choice.reason
    assert Grader.load(path, "cpu", "auto").model.precision == taken
    assert Grader.load(path, "cpu").model.precision == "fp32", "auto is not the default"


def test_without_calibration_data_it_is_fp32(tmp_path: Path) -> None:
    choice = choose_precision(measured(make_bundle(tmp_path / "m.mango"), 9.0, 1.0))
    assert (choice.precision, "keeps no calibration data" in choice.reason) == ("fp32", True)


def test_without_int8_stages_it_is_fp32(tmp_path: Path) -> None:
    bundle = Bundle.open(make_bundle(tmp_path / "m.mango"))
    manifest = dataclasses.replace(bundle.manifest, stages={"fp32": bundle.manifest.stages["fp32"]})
    choice = choose_precision(dataclasses.replace(bundle, manifest=manifest))
    assert (choice.precision, choice.reason) == ("fp32", "the model has no int8 stages")


def test_what_was_measured_on_another_device_does_not_count(tmp_path: Path) -> None:
    bundle = measured(calibrated(tmp_path / "m.mango", 0), 9.0, 1.0)
    assert choose_precision(bundle, "cpu").precision == "int8"
    assert "not measured" in choose_precision(bundle, "cuda").reason


def test_damaged_calibration_data_are_an_error(tmp_path: Path) -> None:
    def damage(parts: dict[str, bytes]) -> None:
        parts["calibration/int8/logits.npy"] = b"nothing"

    path = change_bundle(calibrated(tmp_path / "m.mango", 0), damage)
    with pytest.raises(BundleError):
        choose_precision(measured(path, 9.0, 1.0))
