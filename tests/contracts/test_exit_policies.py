"""What every exit policy keeps. A new policy joins with one line of `POLICIES`."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noisy_fruit import MACS, calibration_of, draw_fruit, load_stages, make_noisy_bundle
from numpy.typing import NDArray

from mango_grader.errors import UsageError
from mango_grader.runtime.bundle.archive import Bundle
from mango_grader.runtime.bundle.manifest import Thresholds
from mango_grader.runtime.exits import (
    EXIT_POLICIES,
    ExitPolicy,
    PolicyContext,
    StageTimes,
    parse_exit_policy,
    stop_exits,
)
from mango_grader.runtime.inference.grader import Grader
from mango_grader.runtime.inference.model_context import policy_context
from mango_grader.runtime.inference.records import Record
from mango_grader.runtime.inference.sessions import StagedModel

# What is typed, and how it begins when it is printed.
POLICIES: Mapping[str, str] = {
    "full": "full",
    "exit:2": "exit:2",
    "threshold": "threshold:margin,0.6,0.5",
    "threshold:0.7": "threshold:0.7,0.7",
    "budget:60%": "budget:240",
    "budget:0.18k": "budget:180",
    "risk:eps=0.1": "risk:eps=0.1,delta=0.1",
    "deadline:60s": "deadline:60000ms",
}
FRUIT = draw_fruit(200, seed=2, per_fruit=2)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_noisy_bundle(
        tmp_path_factory.mktemp("policies") / "noisy.mango",
        calibration_of(draw_fruit(500, seed=1)),
        temperatures=(1.2, 1.1, 1.3),
        policies={"threshold": Thresholds("margin", (0.6, 0.5))},
    )


@pytest.fixture(scope="module")
def context(path: Path) -> PolicyContext:
    times = StageTimes([[0.1]] * len(MACS))
    return replace(policy_context(Bundle.open(path)), stage_times=lambda: times)


@pytest.fixture(scope="module")
def model(path: Path) -> StagedModel:
    return load_stages(path)


@pytest.fixture(scope="module")
def answers(model: StagedModel) -> NDArray[np.float32]:
    return model.every_exit(FRUIT.images)


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest, context: PolicyContext) -> ExitPolicy:
    return parse_exit_policy(request.param, context)


def test_every_policy_is_here() -> None:
    assert {text.partition(":")[0] for text in POLICIES} == EXIT_POLICIES.keys()


@pytest.mark.parametrize(("text", "printed"), POLICIES.items())
def test_a_text_is_read_as_an_equal_policy_each_time(text: str, printed: str, context: PolicyContext) -> None:
    policy = parse_exit_policy(text, context)
    assert isinstance(policy, ExitPolicy)
    assert policy == parse_exit_policy(text, context)
    assert str(policy) == str(parse_exit_policy(text, context))
    assert str(policy).startswith(printed)


@pytest.mark.parametrize(
    "text", [text for text in POLICIES if not text.startswith("threshold")]
)  # those of several exits have no text
def test_what_is_printed_is_read_as_the_same_policy(text: str, context: PolicyContext) -> None:
    policy = parse_exit_policy(text, context)
    assert parse_exit_policy(str(policy).partition(" ")[0], context) == policy


def test_different_policies_print_differently(context: PolicyContext) -> None:
    assert len({str(parse_exit_policy(text, context)) for text in POLICIES}) == len(POLICIES)


@pytest.mark.parametrize("name", EXIT_POLICIES)
def test_nonsense_is_refused_in_one_line(name: str, context: PolicyContext) -> None:
    for argument in ("x", "-1", "eps", "1,2", "nan", "²", "9" * 400 + "x", "\n1"):
        with pytest.raises(UsageError, match=r"^policy .+") as caught:
            parse_exit_policy(f"{name}:{argument}", context)
        assert "\n" not in str(caught.value)


def test_the_order_of_the_images_does_not_matter(policy: ExitPolicy, answers: NDArray[np.float32]) -> None:
    stops = stop_exits(policy, answers)
    order = np.random.default_rng(0).permutation(answers.shape[1])
    np.testing.assert_array_equal(stop_exits(policy, answers[:, order]), stops[order])


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_size_of_the_batches_does_not_matter(policy: ExitPolicy, answers: NDArray[np.float32], size: int) -> None:
    parts = [stop_exits(policy, answers[:, start : start + size]) for start in range(0, answers.shape[1], size)]
    np.testing.assert_array_equal(np.concatenate(parts), stop_exits(policy, answers))


def test_stored_answers_stop_where_the_stages_do(
    policy: ExitPolicy, answers: NDArray[np.float32], model: StagedModel
) -> None:
    np.testing.assert_array_equal(model.run(FRUIT.images, policy).exits, stop_exits(policy, answers) + 1)


def test_threads_share_a_policy(policy: ExitPolicy, answers: NDArray[np.float32], model: StagedModel) -> None:
    alone = stop_exits(policy, answers) + 1
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: model.run(FRUIT.images, policy).exits, range(32)):
            np.testing.assert_array_equal(found, alone)


def test_eight_threads_of_one_grader_get_the_records_of_one_thread(path: Path, policy: ExitPolicy) -> None:
    grader, images = Grader.load(path, "cpu", policy=policy), list(FRUIT.images[:200])
    alone = [answer_of(grader.grade(image)) for image in images]
    with ThreadPoolExecutor(8) as threads:
        lanes = [threads.submit(lambda start: [*map(grader.grade, images[start:])], lane * 5) for lane in range(8)]
        for lane, found in enumerate(lanes):
            assert [answer_of(record) for record in found.result()] == alone[lane * 5 :]


def answer_of(record: Record) -> tuple[object, ...]:
    """Return what a record says of its image, without times."""
    return record.grade, record.probabilities, record.exit, record.error, record.late
