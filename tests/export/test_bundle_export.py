import copy
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from exporting import HEIGHT, TEMPERATURES, WIDTH, random_images
from PIL import Image

from mango_grader.errors import ExportError
from mango_grader.export import CalibrationImages, Description, ExportImages, Interface, export_bundle
from mango_grader.export.originals import draw_originals
from mango_grader.export.parity import torch_logits
from mango_grader.models import AnytimeClassifier
from mango_grader.runtime import Bundle, CalibrationInfo, Grader, Manifest, Preprocess, Thresholds
from mango_grader.runtime.calibration.fitting import Calibration, calibrated
from mango_grader.runtime.images.decode import scaled
from mango_grader.runtime.inference.verify import PIXEL_TOLERANCE, verify_bundle

CLASSES = ("A", "B", "C")


class Parts(NamedTuple):
    interface: Interface = Interface(Preprocess(HEIGHT, WIDTH), CLASSES, ordinal=True)
    calibration: Calibration = Calibration(TEMPERATURES, (0.7, 0.6))
    images: ExportImages = ExportImages(random_images(9), (0, 1, 2) * 3, random_images(40, seed=1))
    description: Description = Description("# A model\n", {"method": "enas", "seed": 0})


PARTS = Parts()
NO_INT8 = PARTS._replace(images=replace(PARTS.images, quantisation=None))


@pytest.fixture(scope="module")
def exported(network: AnytimeClassifier, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    path = tmp_path_factory.mktemp("export") / "model.mango"
    return path, export_bundle(path, network, *PARTS)


def test_manifest_says_what_the_network_is(exported: tuple[Path, Manifest], network: AnytimeClassifier) -> None:
    path, manifest = exported
    assert Bundle.open(path).manifest == manifest
    assert [info.name for info in manifest.exits] == ["exit1", "exit2", "exit3"]
    assert tuple(info.macs for info in manifest.exits) == network.spec.macs()
    assert tuple(info.params for info in manifest.exits) == network.spec.params()
    assert tuple(info.temperature for info in manifest.exits) == TEMPERATURES
    assert (manifest.policies, manifest.default_policy) == (
        {"threshold": Thresholds("confidence", (0.7, 0.6))},
        "full",  # there are no calibration images
    )
    assert manifest.provenance["method"] == "enas"
    assert max(manifest.provenance["parity"]["staged"]) <= 1e-4
    assert manifest.provenance["int8"]["images"] == 49
    assert min(manifest.provenance["int8"]["same_answer"]) > 0.8


@pytest.mark.parametrize(
    ("fruit", "retrained", "default"), [(45, False, "risk:eps=0.05,delta=0.1"), (44, False, "full"), (45, True, "full")]
)
def test_stopping_early_is_the_default_where_its_risk_is_known(
    network: AnytimeClassifier, tmp_path: Path, fruit: int, retrained: bool, default: str
) -> None:
    labels = np.arange(fruit) % 3
    kept = CalibrationImages(random_images(fruit), labels, np.arange(fruit), network if retrained else None)
    parts = NO_INT8._replace(
        images=replace(NO_INT8.images, calibration=kept), calibration=Calibration(TEMPERATURES, (0.5, 0.5), "margin")
    )
    manifest = export_bundle(tmp_path / "m.mango", network, *parts)
    assert manifest.default_policy == default
    assert manifest.policies == {"threshold": Thresholds("margin", (0.5, 0.5))}
    assert str(Grader.load(tmp_path / "m.mango", "cpu").policy).startswith(default)


@pytest.mark.parametrize("retrained", [False, True])
def test_the_bundle_keeps_the_answers_to_the_calibration_images(
    network: AnytimeClassifier, tmp_path: Path, retrained: bool
) -> None:
    images, before = random_images(6, seed=2), copy.deepcopy(network)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter *= 0.9
    kept = CalibrationImages(
        images, np.array([0, 1, 2] * 2), np.array([0, 0, 1, 2, 3, 3]), before if retrained else None
    )
    export_bundle(tmp_path / "m.mango", network, *PARTS._replace(images=replace(PARTS.images, calibration=kept)))
    bundle = Bundle.open(tmp_path / "m.mango")
    assert bundle.manifest.calibration == CalibrationInfo(6, 4, labelled=True, retrained=retrained)
    found, int8 = bundle.calibration(), bundle.calibration("int8")
    assert found is not None
    assert int8 is not None
    answered = torch_logits(before if retrained else network, images)
    np.testing.assert_allclose(found.logits, answered, atol=1e-3)
    assert 0 < np.abs(int8.logits - answered).max() < 0.5 * np.abs(answered).max()


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("exit_number", [1, 2, 3])
def test_the_grader_answers_as_torch_does(
    exported: tuple[Path, Manifest], network: AnytimeClassifier, count: int, exit_number: int
) -> None:
    images = random_images(count, seed=10 + count)
    expected = calibrated(torch_logits(network, images), TEMPERATURES)[exit_number - 1]
    grader = Grader.load(exported[0], "cpu", policy=f"exit:{exit_number}")
    records = list(grader.grade_many(list(images), batch_size=count))
    assert [record.exit for record in records] == [exit_number] * count
    found = np.array([record.probabilities for record in records])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert [record.grade for record in records] == [CLASSES[index] for index in expected.argmax(axis=1)]


def test_all_of_it_verifies_int8_included(exported: tuple[Path, Manifest]) -> None:
    findings = verify_bundle(Bundle.open(exported[0]), "cpu")
    assert all(finding.ok for finding in findings)
    assert any("int8" in finding.check for finding in findings)
    assert Grader.load(exported[0], "cpu", "int8").grade(random_images(1)[0]).error is None


def test_another_process_without_torch_loads_it(exported: tuple[Path, Manifest]) -> None:
    code = (
        "import sys; from mango_grader.runtime import Grader; Grader.load(sys.argv[1], 'cpu');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(exported[0])], check=True, timeout=600)


def test_it_carries_drawn_image_files_and_what_became_of_them(
    exported: tuple[Path, Manifest], network: AnytimeClassifier
) -> None:
    originals = Bundle.open(exported[0]).originals()
    assert originals is not None
    kinds = [Image.open(io.BytesIO(data)) for data in originals.files.values()]
    assert [(one.format, one.mode) for one in kinds] == [("JPEG", "RGB")] * 2 + [("PNG", "RGBA"), ("PNG", "RGB")]
    assert kinds[1].getexif()[0x0112] == 6
    assert kinds[3].width < WIDTH
    assert all(len(data) <= 1 << 16 for data in originals.files.values())
    pixels = np.stack([Preprocess(HEIGHT, WIDTH)(data) for data in originals.files.values()])
    np.testing.assert_array_equal(originals.pixels, pixels)
    expected = calibrated(torch_logits(network, pixels), TEMPERATURES)
    np.testing.assert_allclose(originals.probabilities, expected, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (24, 32), (128, 128), (120, 160), (224, 224)])
def test_drawn_image_files_are_small_and_the_same_each_time(size: tuple[int, int]) -> None:
    drawn = draw_originals(Preprocess(*size))
    assert drawn == draw_originals(Preprocess(*size))
    assert max(map(len, drawn.values())) <= 1 << 16
    wide = Image.open(io.BytesIO(drawn["encoded/wide.jpg"]))
    before = wide.size
    wide.draft(None, (2 * size[1], 2 * size[0] * wide.height // wide.width))
    assert size == (1, 1) or wide.size != before, "a reduced decoding must be among what is checked"


@pytest.mark.parametrize("size", [(24, 32), (128, 128), (224, 224)])
@pytest.mark.parametrize("name", ["BICUBIC", "BOX", "LANCZOS", "HAMMING", "NEAREST"])
def test_drawn_image_files_tell_another_filter_from_ours(size: tuple[int, int], name: str) -> None:
    fit = Preprocess(*size)
    data = draw_originals(fit)["encoded/small.png"]
    image = Image.open(io.BytesIO(data))
    width, height = scaled(*image.size, (size[1], size[0]))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    ours = fit(data)[top : top + height, left : left + width].astype(int)
    theirs = np.asarray(image.resize((width, height), Image.Resampling[name])).astype(int)
    assert np.abs(ours - theirs).max() > 2 * PIXEL_TOLERANCE


def test_a_provenance_with_odd_names_is_exported_and_read(network: AnytimeClassifier, tmp_path: Path) -> None:
    odd = {"init_from": "caf\udce9", "note": "a\x1b[31m\nb", "accuracy": [float("nan"), 0.5]}
    described = NO_INT8._replace(description=Description("# caf\udce9\n", odd))
    manifest = export_bundle(tmp_path / "m.mango", network, *described)
    assert manifest.provenance["init_from"] == r"caf\xe9"
    assert manifest.provenance["note"] == r"a\x1b[31m\nb"
    assert manifest.provenance["accuracy"] == [None, 0.5]
    assert Bundle.open(tmp_path / "m.mango").card == "# caf\\udce9\n"


def test_int8_is_optional(network: AnytimeClassifier, tmp_path: Path) -> None:
    manifest = export_bundle(tmp_path / "model.mango", network, *NO_INT8)
    assert list(manifest.stages) == ["fp32"]
    assert "int8" not in manifest.provenance


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interface": replace(PARTS.interface, classes=("A", "B"))}, "2 class names"),
        ({"interface": replace(PARTS.interface, preprocess=Preprocess(WIDTH, HEIGHT))}, "preprocessing gives"),
        ({"calibration": Calibration((1.0,), (0.7, 0.6))}, "3 exits need as many temperatures, got 1"),
        ({"calibration": Calibration(TEMPERATURES, (0.5,))}, "one threshold less, got 1"),
        ({"images": ExportImages(random_images(9), (0,))}, "9 golden images and 1 labels"),
        ({"images": ExportImages(random_images(0), ())}, "0 golden images"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    network: AnytimeClassifier, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ExportError, match=words):
        export_bundle(tmp_path / "model.mango", network, *PARTS._replace(**changes))
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_where_the_graphs_disagree(
    network: AnytimeClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango_grader.export.parity.TOLERANCE", 0.0)
    with pytest.raises(ExportError, match=r"exit 3: \d"):
        export_bundle(tmp_path / "model.mango", network, *PARTS)
    assert not list(tmp_path.iterdir())
