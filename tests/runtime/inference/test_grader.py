import io
import itertools
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, change_bundle, expected, make_bundle, overflow, solid
from numpy.typing import NDArray
from PIL import Image

from mango_grader.errors import UsageError
from mango_grader.runtime.decisions import stopped
from mango_grader.runtime.exits import ExitAt, Full, Threshold
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.sessions import StagedModel


@pytest.fixture(scope="module")
def grader(bundle: Path) -> Grader:
    return Grader.load(bundle, "cpu")


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (64, 1, 1, 3))
    return np.clip(colours + rng.integers(-20, 21, (64, 12, 16, 3)), 0, 255).astype(np.uint8)


def test_grades_and_probabilities_are_the_models(grader: Grader, images: NDArray[np.uint8]) -> None:
    wanted = expected(images)[1]
    records = list(grader.grade_many(images))
    assert np.abs(np.array([record.probabilities for record in records]) - wanted).max() < 1e-5
    assert [record.grade for record in records] == [CLASSES[best] for best in wanted.argmax(1)]
    assert all(record.confidence == max(record.probabilities or ()) and record.exit == 2 for record in records)
    assert all(record.error is None and record.path == "" for record in records)


def test_all_kinds_of_image_get_the_same_grade(grader: Grader, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(solid("red")).save(buffer, "PNG")
    path = tmp_path / "red.png"
    path.write_bytes(buffer.getvalue())
    sources = [str(path), path, buffer.getvalue(), Image.fromarray(solid("red")), solid("red")]
    records = [grader.grade(source) for source in sources]
    assert {record.grade for record in records} == {"red"}
    assert [record.path for record in records] == [str(path), str(path), "", "", ""]


def test_threshold_stops_sure_rows_early_with_that_exits_answer(bundle: Path, images: NDArray[np.uint8]) -> None:
    first, last = expected(images)
    sure = first.max(1) >= 0.6
    assert 5 < sure.sum() < 60, "the images must exercise both ways"
    records = list(Grader.load(bundle, "cpu", policy="threshold").grade_many(images, batch_size=64))
    assert [record.exit for record in records] == np.where(sure, 1, 2).tolist()
    wanted = np.where(sure[:, None], first, last)
    assert np.abs(np.array([record.probabilities for record in records]) - wanted).max() < 1e-5


def test_only_unsettled_rows_reach_the_next_stage(
    bundle: Path, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mango_grader.runtime.inference import sessions

    grader = Grader.load(bundle, "cpu", policy=Threshold((0.6,)))
    sizes = []

    def counted(session: object, feed: dict[str, NDArray[np.generic]], outputs: list[str]) -> list[object]:
        sizes.append(len(next(iter(feed.values()))))
        assert "features" not in outputs  # only heat maps ask for them
        return run(session, feed, outputs)

    run = sessions.run_session
    monkeypatch.setattr(sessions, "run_session", counted)
    records = list(grader.grade_many(images, batch_size=64))
    assert sizes == [64, sum(record.exit == 2 for record in records)]
    sizes.clear()
    list(Grader.load(bundle, "cpu", policy="exit:1", check=False).grade_many(images, batch_size=64))
    assert sizes == [64]


def test_every_exit_agrees_with_stopping_there(bundle: Path, images: NDArray[np.uint8]) -> None:
    grader = Grader.load(bundle, "cpu")
    all_exits = grader.model.every_exit(images)
    assert np.abs(all_exits - expected(images)).max() < 1e-5
    for index, policy in enumerate([ExitAt(0), Full()]):
        answers = grader.model.run(images, policy)
        assert np.abs(stopped(answers.history, answers.exits) - all_exits[index]).max() < 1e-6
        assert set(answers.exits) == {index + 1}


def test_bad_images_get_records_in_their_place(grader: Grader, tmp_path: Path) -> None:
    sources = [b"", solid("red"), tmp_path / "missing.jpg", None, solid("green"), np.zeros((2, 2), float), tmp_path]
    records = list(grader.grade_many(sources, batch_size=3))  # type: ignore[arg-type]
    assert [record.grade for record in records] == [None, "red", None, None, "green", None, None]
    for record in records:
        assert (record.error is None) == (record.grade is not None)
        assert (record.probabilities is None) == (record.grade is None)
    assert records[2].path == str(tmp_path / "missing.jpg")


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_records_come_in_order_whatever_the_workers(grader: Grader, workers: int, batch_size: int) -> None:
    names = [CLASSES[number % 3] for number in range(20)]
    records = grader.grade_many((solid(name) for name in names), batch_size, workers)
    assert [record.grade for record in records] == names


def test_workers_change_no_bit(grader: Grader, images: NDArray[np.uint8]) -> None:
    one, four = ([r.probabilities for r in grader.grade_many(images, workers=count)] for count in (1, 4))
    assert one == four


def test_one_grader_serves_many_threads(grader: Grader) -> None:
    with ThreadPoolExecutor(8) as pool:
        graded = pool.map(lambda number: grader.grade(solid(CLASSES[number % 3])).grade, range(300))
        assert list(graded) == [CLASSES[number % 3] for number in range(300)]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_endless_stream_is_graded_as_it_is_asked_for(grader: Grader, workers: int) -> None:
    taken = itertools.count()

    def endless() -> Iterator[NDArray[np.uint8]]:
        while True:
            next(taken)
            yield solid("yellow")

    before = threading.active_count()
    stream = grader.grade_many(endless(), batch_size=2, workers=workers)
    assert [record.grade for record in itertools.islice(stream, 10)] == ["yellow"] * 10
    stream.close()  # type: ignore[attr-defined]
    assert next(taken) <= 10 + 2 * 2 * workers + 2
    assert threading.active_count() == before, "the pool must not outlive its generator"


def test_a_live_camera_gets_each_answer_before_its_next_image_is_taken(grader: Grader) -> None:
    events: list[str] = []

    def camera() -> Iterator[NDArray[np.uint8]]:
        for name in CLASSES:
            events.append(f"taken {name}")
            yield solid(name)

    stream = grader.stream(camera())
    while record := next(stream, None):
        events.append(f"answered {record.grade}")
    assert events == [f"{what} {name}" for name in CLASSES for what in ("taken", "answered")]


def test_memory_stays_constant(grader: Grader) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in grader.grade_many((solid("red", (200, 200)) for _ in range(count)), workers=2):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(50)
    assert peak(600) < peak(60) + 2_000_000  # 540 more images are 65 MB.


def test_a_model_without_a_finite_answer_is_an_error_of_the_row(tmp_path: Path) -> None:
    path = change_bundle(make_bundle(tmp_path / "large.mango"), overflow)
    record = Grader.load(path, "cpu", "int8", check=False).grade(solid("red"))
    assert (record.grade, record.error) == (None, "the model gave no finite answer")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provider": "tpu"}, "use auto, cpu or cuda"),
        ({"precision": "fp16"}, "no fp16 stages, only fp32, int8"),
        ({"policy": "exit:9"}, "exits 1 to 2"),
    ],
)
def test_what_is_not_there_is_a_usage_error(bundle: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Grader.load(bundle, **options)  # type: ignore[arg-type]


def test_cuda_that_is_not_installed_says_what_to_install(bundle: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(UsageError, match="onnxruntime-gpu"):
        Grader.load(bundle, "cuda")
    assert Grader.load(bundle, "auto").model.provider == "cpu"


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"workers": 0}])
def test_nonsense_numbers_are_refused_at_once(grader: Grader, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        grader.grade_many([], **options)


@pytest.mark.parametrize("one", ["a.jpg", b"bytes", Path("a.jpg")])
def test_a_single_path_is_not_taken_for_many_images(grader: Grader, one: object) -> None:
    for many in (grader.grade_many, grader.stream):
        with pytest.raises(UsageError, match="use grade for one"):
            many(one)  # type: ignore[arg-type]


def test_sessions_use_one_thread_and_do_not_spin(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    seen = []
    real = onnxruntime.InferenceSession

    def spy(graph: bytes, options: object, **more: object) -> object:
        seen.append(options)
        return real(graph, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    from mango_grader.runtime.bundle.archive import Bundle

    StagedModel.load(Bundle.open(bundle), "cpu")
    never_run = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # Those that only infer sizes.
    run = [options for options in seen if options.graph_optimization_level != never_run]
    assert len(run) == 2
    for options in run:
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("size", [(400, 40), (40, 400), (40, 30)])
def test_an_image_of_one_colour_is_not_graded_without_a_warning(grader: Grader, size: tuple[int, int]) -> None:
    covered = np.random.default_rng(0).integers(0, 4, (*size, 3), np.uint8)
    record = grader.grade(covered)
    assert record.grade is not None
    assert (record.warning or "").startswith("practically one colour")


def test_an_image_with_something_in_it_gets_no_warning(grader: Grader) -> None:
    ground = np.full((40, 400, 3), 114, np.uint8)  # As the letterbox is filled.
    ground[10:30, 100:140] = (220, 180, 20)
    assert grader.grade(ground).warning is None


def test_a_jpeg_and_its_decoded_array_agree_where_exactness_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    noise[::2] = (250, 250, 30)  # Detail that a decoder at an eighth of the size sees differently.
    Image.fromarray(noise).save(tmp_path / "a.jpg", quality=60)
    with Image.open(tmp_path / "a.jpg") as image:
        array = np.asarray(image)
    fast, exact = Grader.load(bundle, "cpu"), Grader.load(bundle, "cpu", exact=True)
    assert fast.grade(tmp_path / "a.jpg").probabilities != fast.grade(array).probabilities
    sources = [tmp_path / "a.jpg", (tmp_path / "a.jpg").read_bytes(), Image.fromarray(array), array]
    assert len({record.probabilities for record in exact.grade_many(sources)}) == 1
    assert exact.grade(array).probabilities == fast.grade(array).probabilities


def test_a_single_image_is_not_taken_for_many(grader: Grader) -> None:
    data = io.BytesIO(b"x")
    for one in (solid("red"), solid("red")[:, :, 0], data, bytearray(b"x"), memoryview(b"x")):
        for many in (grader.grade_many, grader.stream):
            with pytest.raises(UsageError, match="use grade for one"):
                many(one)  # type: ignore[arg-type]
