"""Calibration data travel in the bundle, and are refused where they do not fit it."""

from pathlib import Path

import numpy as np
import pytest
from bundles import change_bundle, make_bundle

from mango_grader.errors import BundleError, UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.arrays import to_npy
from mango_grader.runtime.bundle.calibration import CalibrationData
from mango_grader.runtime.inference.model_context import read_calibration

DATA = CalibrationData(
    np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3),
    np.array([0, 0, 1, 2, 2], np.int32),
    np.array([0, 1, 2, 0, 1], np.int32),
)


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "calibrated.mango", calibration=DATA)


def test_calibration_data_are_read_as_they_were_written(calibrated: Path) -> None:
    bundle = Bundle.open(calibrated)
    info = bundle.manifest.calibration
    assert info is not None
    assert (info.images, info.groups, info.labelled, info.retrained) == (5, 3, True, False)
    for precision in ("fp32", "int8"):
        found = bundle.calibration(precision)
        assert found is not None
        assert found.labels is not None
        np.testing.assert_array_equal(found.logits, DATA.logits)
        np.testing.assert_array_equal(found.groups, DATA.groups)
        np.testing.assert_array_equal(found.labels, [0, 1, 2, 0, 1])
    assert np.allclose(read_calibration(bundle).probabilities.sum(axis=2), 1)


def test_ungraded_images_need_no_labels(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "m.mango", calibration=CalibrationData(DATA.logits, DATA.groups))
    found = Bundle.open(path).calibration()
    assert found is not None
    assert found.labels is None


def test_a_bundle_without_calibration_data_says_what_to_do(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert opened.calibration() is None
    with pytest.raises(UsageError, match="mango-grader calibrate"):
        read_calibration(opened)


@pytest.mark.parametrize("schema", [1, 2])
def test_bundles_of_earlier_schemas_name_what_they_lack(tmp_path: Path, schema: int) -> None:
    opened = Bundle.open(make_bundle(tmp_path / "old.mango", schema=schema))
    assert any("calibration data" in one for one in opened.manifest.lacks)
    assert opened.manifest.default_decide == "argmax"


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("calibration/fp32/logits.npy", np.zeros((2, 4, 3), np.float32)),
        ("calibration/fp32/logits.npy", np.full((2, 5, 3), np.nan, np.float32)),
        ("calibration/fp32/logits.npy", np.zeros((2, 5, 3), np.int32)),
        ("calibration/groups.npy", np.zeros(5, np.int32)),
        ("calibration/groups.npy", np.array([0, 1, 2, 2], np.int32)),
        ("calibration/groups.npy", np.array([-1, 1, 2, 2, 2], np.int32)),
        ("calibration/labels.npy", np.array([0, 1, 2, 3, 1], np.int32)),
        ("calibration/labels.npy", np.array([[0, 1, 2, 0, 1]], np.int32)),
    ],
)
def test_calibration_data_that_do_not_fit_are_refused(calibrated: Path, name: str, array: np.ndarray) -> None:
    change_bundle(calibrated, lambda parts: parts.update({name: to_npy(array)}))
    with pytest.raises(BundleError, match="calibration"):
        Bundle.open(calibrated).calibration()
