import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import change_bundle, make_bundle, overflow

from mango_grader.errors import BundleError, UsageError
from mango_grader.runtime.bundle.archive import MANIFEST, Bundle, write_bundle
from mango_grader.runtime.bundle.manifest import SCHEMA, CalibrationInfo, ExitInfo, Manifest, Prices, Thresholds
from mango_grader.runtime.images.preprocess import Preprocess
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.verify import verify_bundle


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write the bundle's ZIP again after `change` of its parts, hashes left as they were."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def change_manifest(path: Path, **values: Any) -> Path:
    def change(parts: dict[str, bytes]) -> None:
        parts[MANIFEST] = json.dumps(json.loads(parts[MANIFEST]) | values).encode()

    return rewrite(path, change)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "own.mango")


def test_what_is_written_is_read(own: Path) -> None:
    bundle = Bundle.open(own)
    assert bundle.manifest.classes == ("green", "yellow", "red")
    assert bundle.manifest.preprocess == Preprocess(12, 16)
    assert bundle.manifest.exits[1] == ExitInfo("last", 400, 40, 1.5)
    assert bundle.manifest.policies == {"threshold": Thresholds("confidence", (0.6,))}
    assert bundle.card == "# By hand\n"
    assert bundle.golden().probabilities.shape == (2, 3, 3)
    assert bundle.golden().labels == (0, 1, 2)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (make_bundle(tmp_path / name) for name in ("1.mango", "2.mango"))
    assert first.read_bytes() == second.read_bytes()
    assert Bundle.open(first).digest == Bundle.open(second).digest


def test_parts_are_stored_so_that_they_can_be_mapped_and_diffed(own: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("part", ["stage0.onnx", "full.onnx", "golden/images.npy", "card.md"])
def test_an_altered_part_is_noticed(own: Path, part: str) -> None:
    def change(parts: dict[str, bytes]) -> None:
        parts[part] = parts[part][:-1] + bytes([parts[part][-1] ^ 1])

    bundle = Bundle.open(rewrite(own, change))
    with pytest.raises(BundleError, match=f"{part} is not what was written"):
        bundle.read(part)


def test_a_flipped_byte_anywhere_in_the_file_never_passes_unnoticed(own: Path) -> None:
    sound = own.read_bytes()
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(own) as archive:
        starts = {one.header_offset + 30 + len(one.filename) for one in archive.infolist()}
        spans = [(start, one.file_size) for one, start in zip(archive.infolist(), sorted(starts), strict=True)]
    for start, size in spans:
        place = int(start + rng.integers(size))
        own.write_bytes(sound[:place] + bytes([sound[place] ^ 0x10]) + sound[place + 1 :])
        try:
            findings = verify_bundle(Bundle.open(own), "cpu")
        except BundleError:
            continue
        assert not all(finding.ok for finding in findings), place


@pytest.mark.parametrize("extra", [True, False])
def test_a_missing_or_additional_part_is_noticed(own: Path, extra: bool) -> None:
    rewrite(own, lambda parts: parts.update(more=b"") if extra else parts.pop("stage1.onnx"))
    with pytest.raises(BundleError, match="its parts are not those"):
        Bundle.open(own)


def test_a_later_schema_says_to_upgrade(own: Path) -> None:
    with pytest.raises(BundleError, match=f"schema {SCHEMA + 1}.*upgrade mango-grader"):
        Bundle.open(change_manifest(own, schema=SCHEMA + 1, exits="of another shape altogether"))


@pytest.mark.parametrize("key", ["classes", "preprocess", "exits", "stages", "full", "policies", "hashes", "schema"])
@pytest.mark.parametrize("value", [None, 7, "?", {"a": 1}])
def test_a_damaged_manifest_is_a_bundle_error(own: Path, key: str, value: object) -> None:
    with pytest.raises(BundleError):
        Bundle.open(change_manifest(own, **{key: value}))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all", bytes(4096)])
def test_other_files_are_no_bundles(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.mango").write_bytes(data)
    with pytest.raises(BundleError, match=r"not a \.mango model"):
        Bundle.open(tmp_path / "m.mango")


def test_a_zip_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.mango", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(BundleError, match="it has no manifest"):
        Bundle.open(tmp_path / "m.mango")


def test_a_truncated_bundle_is_noticed(own: Path) -> None:
    own.write_bytes(own.read_bytes()[:-100])
    with pytest.raises(BundleError):
        Bundle.open(own)


def test_no_such_model_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such model"):
        Bundle.open(tmp_path / "missing.mango")


def test_a_path_that_the_system_refuses_is_one_line(tmp_path: Path, own: Path) -> None:
    for path in (tmp_path / ("n" * 300), "\0", ""):
        with pytest.raises(UsageError, match=r"no such model|has no model"):
            Bundle.open(path)
    (tmp_path / "loop.mango").symlink_to("loop.mango")
    with pytest.raises(UsageError, match="no such model"):
        Bundle.open(tmp_path / "loop.mango")
    own.chmod(0)
    if not os.access(own, os.R_OK):
        with pytest.raises(BundleError, match=r"own\.mango cannot be read: Permission denied"):
            Bundle.open(own)


def test_a_finished_runs_folder_stands_for_its_model(tmp_path: Path) -> None:
    model = make_bundle(tmp_path / "run" / "model.mango")
    assert Bundle.open(tmp_path / "run").path == model
    assert Grader.load(tmp_path / "run", "cpu").manifest.classes[0] == "green"


def test_a_folder_without_a_model_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no model\.mango; name a \.mango file, or the folder of a finished run"):
        Bundle.open(tmp_path)


def test_a_pickled_array_is_never_loaded(tmp_path: Path, own: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    bundle = Bundle.open(own)
    parts = {name: bundle.read(name) for name in bundle.manifest.hashes} | {"golden/images.npy": buffer.getvalue()}
    write_bundle(tmp_path / "evil.mango", bundle.manifest, parts)
    with pytest.raises(BundleError, match="is not an array"):
        Bundle.open(tmp_path / "evil.mango").golden()


def test_a_bundle_that_lacks_a_needed_part_is_not_written(tmp_path: Path, own: Path) -> None:
    bundle = Bundle.open(own)
    parts = {name: bundle.read(name) for name in bundle.manifest.hashes}
    del parts["stage1.onnx"]
    with pytest.raises(BundleError, match=r"lacks stage1\.onnx"):
        write_bundle(tmp_path / "m.mango", bundle.manifest, parts)
    assert not (tmp_path / "m.mango").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("a",)}, {"classes": ("a", "b", "a")}, {"exits": ()}, {"stages": {"int8": ("a", "b")}},
        {"stages": {"fp32": ("a",)}}, {"policies": {"threshold": Thresholds("confidence", (0.5, 0.5))}},
        {"schema": 2, "default_policy": "risk"},
        {"exits": (ExitInfo("a", 1, 1, 0.0), ExitInfo("b", 1, 1, 1.0))}, {"schema": 0},
        {"prices": Prices(((0.0, 1.0), (1.0, 0.0)))}, {"calibration": CalibrationInfo(3, 4, labelled=True)},
        {"schema": 2, "calibration": CalibrationInfo(4, 4, labelled=True)}, {"schema": 2, "default_decide": "cost"},
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_refused(bundle: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="manifest"):
        replace(Bundle.open(bundle).manifest, **change)


def test_the_manifest_survives_json(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    manifest = replace(manifest, preprocess=Preprocess(120, 160, True, (9, 8, 7)))
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_model_that_answers_otherwise_is_refused_at_load(tmp_path: Path, own: Path) -> None:
    golden = Bundle.open(own).golden()
    wrong = replace(golden, probabilities=golden.probabilities[:, ::-1])
    path = make_bundle(tmp_path / "wrong.mango", golden=wrong)
    with pytest.raises(BundleError, match="does not reproduce its golden answers"):
        Grader.load(path, "cpu")
    assert Grader.load(path, "cpu", check=False).manifest.classes[0] == "green"
    failed = [finding.check for finding in verify_bundle(Bundle.open(path), "cpu") if not finding.ok]
    assert failed == ["golden answers, fp32 stages", "golden answers, full graph"]


def test_not_a_number_never_agrees_with_the_golden_answers(tmp_path: Path) -> None:
    path = change_bundle(make_bundle(tmp_path / "large.mango"), overflow)
    findings = {finding.check: finding.ok for finding in verify_bundle(Bundle.open(path), "cpu")}
    assert findings["golden answers, fp32 stages"]
    assert not findings["golden answers, int8 stages"]


def test_quantised_answers_may_differ_and_are_reported(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "int8.mango", noise=0.5)
    findings = {finding.check: finding for finding in verify_bundle(Bundle.open(path), "cpu")}
    assert all(finding.ok for finding in findings.values())
    assert "max |Δp| 0.0" in findings["golden answers, int8 stages"].detail
    assert Grader.load(path, "cpu", "int8").grade(np.full((12, 16, 3), (220, 20, 20), np.uint8)).grade == "red"
