import io
from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle, solid
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.progress import LineProgress
from mango_grader.runtime import Bundle
from mango_grader.runtime.bench import Benchmark, ImageSet, drawn_sets, photo_set


@pytest.fixture(scope="module")
def small() -> ImageSet:
    buffer = io.BytesIO()
    Image.fromarray(solid("red", (100, 50))).save(buffer, "JPEG")
    return ImageSet("one JPEG", (buffer.getvalue(),), 0.005)


def test_everything_is_measured_in_every_combination(bundle: Path, small: ImageSet) -> None:
    out = io.StringIO()
    profile = Benchmark(Bundle.open(bundle), [small], "cpu", 3, seconds=0.5).run(LineProgress(out, every=0.0))
    conditions = [(one.precision, one.workers, one.provider) for one in profile.latency]
    assert conditions == [(precision, workers, "cpu") for precision in ("fp32", "int8") for workers in (1, 3)]
    assert all(len(one.samples) == 2 and len(one.samples[0]) >= 40 for one in profile.latency)
    assert [(one.precision, one.batch, one.workers) for one in profile.throughput] == [
        (precision, batch, workers) for precision in ("fp32", "int8") for batch in (1, 8, 32) for workers in (1, 3)
    ]
    assert all(one.images_per_s > 0 for one in profile.throughput)
    assert [(one.images, one.megapixels) for one in profile.decoding] == [("one JPEG", 0.005)]
    assert profile.decoding[0].ms_per_megapixel == pytest.approx(profile.decoding[0].ms / 0.005, abs=1e-3)
    assert out.getvalue().splitlines()[-1].startswith("bench: 42/42")


def test_a_stage_that_takes_longer_is_measured_to_take_longer(tmp_path: Path, small: ImageSet) -> None:
    path = make_bundle(tmp_path / "slow.mango", products=40)
    profile = Benchmark(Bundle.open(path), [small], "cpu", 1, seconds=2).run()
    assert {one.workers for one in profile.latency} == {1}
    (first, second), (_, quick) = (one.quantiles() for one in profile.latency)
    assert second["p50"] > 10 * first["p50"]
    assert second["p50"] > 10 * quick["p50"], "only the fp32 stage is slow"
    fp32, int8 = (max(one.images_per_s for one in profile.throughput if one.precision == p) for p in ("fp32", "int8"))
    assert int8 > 2 * fp32


def test_drawn_jpegs_have_the_sizes_of_cameras() -> None:
    sets = drawn_sets()
    assert [round(one.megapixels, 1) for one in sets] == [0.3, 1.3, 5.0, 12.0]
    for one in sets:
        with Image.open(io.BytesIO(one.files[0])) as image:
            assert image.format == "JPEG"
            assert image.width * image.height == pytest.approx(one.megapixels * 1e6)
            bits = 8 * len(one.files[0]) / (image.width * image.height)
            assert 0.5 < bits < 5, "as many bits a pixel as photos have"


def test_photos_are_taken_from_all_over_a_folder(tmp_path: Path, bundle: Path) -> None:
    for number in range(120):
        Image.fromarray(solid("red", (10 + number, 10))).save(tmp_path / f"{number:03}.png")
    (tmp_path / "notes.txt").write_text("no image")
    images = photo_set(str(tmp_path))
    assert len(images.files) == 50
    assert images.megapixels == pytest.approx(np.mean([10 * (10 + 2 * number) for number in range(50)]) / 1e6)
    decoding = Benchmark(Bundle.open(bundle), [images], "cpu", 1, seconds=0.2).run().decoding
    assert [one.images for one in decoding] == [str(tmp_path)]


@pytest.mark.parametrize("content", [None, b"no image"])
def test_a_folder_without_images_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UsageError):
        photo_set(str(tmp_path))
