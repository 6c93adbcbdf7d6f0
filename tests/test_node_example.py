"""The Node example gives a model's golden answers, and the grades that Python gives to the same PNG images."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import change_bundle, make_bundle, make_whole_bundle
from PIL import Image

from mango_grader.runtime.bundle.archive import MANIFEST
from mango_grader.runtime.bundle.golden import ORIGINAL_PIXELS
from mango_grader.runtime.inference.grader import Grader

EXAMPLE = Path(__file__).parents[1] / "examples" / "node"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(not (EXAMPLE / "node_modules").exists(), reason="its packages are not installed: make node"),
]


def run(*arguments: object, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    """Return the rows that the example prints, and its errors."""
    command = ["node", str(EXAMPLE / "grade.mjs"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images that are wider, higher, smaller and thinner than the input, grey, in a palette, and transparent."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    found = []
    for number, size in enumerate([(12, 16), (97, 61), (61, 97), (5, 7), (1, 300), (300, 1), (240, 320)]):
        noise = rng.integers(0, 256, (*size, 4), np.uint8)
        noise[..., :3] = noise[..., :3] // 2 + rng.integers(0, 128, 3)
        image = Image.fromarray(noise)
        image = [image, image.convert("RGB"), image.convert("LA"), image.convert("L"), image.convert("P")][number % 5]
        found.append(folder / f"{number}.png")
        image.save(found[-1])
    return found


def test_a_model_gives_its_golden_answers_and_the_pixels_of_its_originals(bundle: Path) -> None:
    rows, _ = run(bundle)
    assert rows[0]["golden"] == 3
    assert rows[0]["exits"] == 2
    assert rows[0]["largest_difference"] <= 1e-4
    decoded = [row for row in rows[1:] if "skipped" not in row]
    assert [row["original"] for row in decoded] == ["encoded/clear.png", "encoded/small.png"]
    assert all(row["grey_levels"] == 0 and row["largest_difference"] <= 1e-4 for row in decoded)


@pytest.mark.parametrize("policy", ["full", "exit:1", "threshold"])
def test_images_get_the_grades_that_python_gives(policy: str, photos: list[Path], tmp_path: Path) -> None:
    model = make_whole_bundle(tmp_path / "whole.mango")
    rows, _ = run(model, "--policy", policy, *photos)
    records = [Grader.load(model, "cpu", policy=policy).grade(photo) for photo in photos]
    graded = rows[-len(photos) :]
    assert [(row["path"], row["grade"], row["exit"]) for row in graded] == [
        (record.path, record.grade, record.exit) for record in records
    ]
    for row, record in zip(graded, records, strict=True):
        np.testing.assert_allclose(row["probabilities"], record.probabilities, atol=1e-4)


def test_portraits_are_turned_where_the_manifest_says_so(photos: list[Path], tmp_path: Path) -> None:
    def turn(parts: dict[str, bytes]) -> None:
        values = json.loads(parts[MANIFEST])
        values["preprocess"]["rotate_portrait"] = True
        parts[MANIFEST] = json.dumps(values).encode()

    model = change_bundle(make_bundle(tmp_path / "turned.mango"), turn)
    rows, _ = run(model, *photos)
    grader = Grader.load(model, "cpu", policy="full", check=False)  # One of its JPEGs is a portrait.
    for row, photo in zip(rows[-len(photos) :], photos, strict=True):
        np.testing.assert_allclose(row["probabilities"], grader.grade(photo).probabilities, atol=1e-4)


def test_another_answer_than_the_stored_one_ends_before_any_grade(tmp_path: Path, photos: list[Path]) -> None:
    def change(parts: dict[str, bytes]) -> None:
        numbers = bytearray(parts["golden/probabilities.npy"])
        numbers[-12:] = np.array([0.2, 0.3, 0.5], "<f4").tobytes()
        parts["golden/probabilities.npy"] = bytes(numbers)

    rows, errors = run(change_bundle(make_bundle(tmp_path / "m.mango"), change), *photos, code=1)
    assert rows == []
    assert errors.startswith("error: the model does not give its stored answers here: golden image 2")


def test_a_part_that_was_changed_ends_before_any_grade(tmp_path: Path, photos: list[Path]) -> None:
    path = change_bundle(
        make_bundle(tmp_path / "m.mango"),
        lambda parts: parts.update({ORIGINAL_PIXELS: parts[ORIGINAL_PIXELS][:-1] + b"\x00"}),
        rehash=False,
    )
    rows, errors = run(path, *photos, code=1)
    assert (rows, errors) == ([], f"error: {ORIGINAL_PIXELS} is not what was written\n")
