"""What the tracker keeps, whatever the finder and the camera do; blobs are made up, their truth is known."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from moving_fruit import (
    BELT,
    CAMERA,
    MovingFruit,
    Shot,
    ellipse,
    follow,
    merged,
    one_after_another,
    shaped,
    shots,
    without,
)
from numpy.typing import NDArray

from mango_grader.line import Axes, Belt
from mango_grader.line.tracking import TrackingConfig, make_tracker

SPEED = 300.0


def steady(time: float) -> float:
    return SPEED * time


def times(rate: float, seconds: float) -> NDArray[np.float64]:
    return np.arange(0, seconds, 1 / rate)


def mesh(position: float) -> NDArray[np.uint8]:
    """A belt with holes every 40 pixels, two stains on it, and a lamp that does not move."""
    columns = np.arange(CAMERA.width)
    row = np.where((columns - position) % 40 < 22, 170, 60)
    row = np.where(np.abs((columns - position + 900) % 1800 - 500) < 7, 120, row)
    row = row + 40 * np.exp(-(((columns - 300) / 60) ** 2))
    rows = np.where((np.arange(CAMERA.height) // 30) % 2, 1.0, 0.0)
    image = rows[:, None] * row[None] + (1 - rows)[:, None] * 150
    return np.repeat(image.astype(np.uint8)[..., None], 3, axis=2)


MOTIONS = [
    replace(BELT, motion="speed"),
    replace(BELT, motion="encoder", px_per_tick=2.5),
    replace(BELT, motion="estimated"),
    replace(BELT, motion="estimated", speed=None),
]
IDS = ["speed", "encoder", "estimated", "estimated, speed unknown"]
FRUIT = one_after_another(30, seed=5)
SECONDS = 15.0  # all have left the view by then


@pytest.mark.parametrize("belt", MOTIONS, ids=IDS)
@pytest.mark.parametrize("rate", [2.0, 10.0, 30.0, 120.0])
def test_each_fruit_counts_once_at_any_rate(rate: float, belt: Belt) -> None:
    if rate == 2.0 and belt.speed is None:
        pytest.skip("at 2 frames per second an unknown speed cannot be told from its neighbours' distance")
    fruit, seconds = (FRUIT, SECONDS) if rate < 100 else (FRUIT[:10], 6.0)
    seen = follow(shots(fruit, times(rate, seconds), steady), belt)
    assert seen.counted == len(fruit) == len(seen.passages)
    assert seen.switches == 0


@pytest.mark.parametrize("belt", MOTIONS, ids=IDS)
def test_the_crossing_lies_between_two_frames(belt: Belt) -> None:
    seen = follow(shots(FRUIT, times(10, SECONDS), steady), belt)
    truth = sorted((belt.decision_line - one.place) / SPEED for one in FRUIT)
    assert np.allclose(sorted(p.passed_time for p in seen.passages), truth, atol=0.006)
    assert [p.passed_frame for p in seen.passages] == [int(np.ceil(p.passed_time * 10)) for p in seen.passages]
    for passage in seen.passages:
        assert passage.passed_ticks == pytest.approx(passage.passed_time * SPEED / 2.5)
        assert passage.lane == (1 if passage.across < 120 else 2)


def test_missed_fruit_keep_their_numbers() -> None:
    rng = np.random.default_rng(0)
    seen = follow(without(shot, lambda n: rng.random() < 0.2) for shot in shots(FRUIT, times(30, SECONDS), steady))
    assert seen.counted == len(FRUIT) == len(seen.passages)
    assert seen.switches == 0


@pytest.mark.parametrize("belt", MOTIONS, ids=IDS)
def test_frames_that_are_lost_or_late_break_no_track(belt: Belt) -> None:
    rng = np.random.default_rng(1)
    moments = np.sort(rng.uniform(0, SECONDS, 400))
    moments = moments[(moments % 3 < 2.7) | (moments < 1)]  # a gap of 0.3 s every 3 s
    seen = follow(shots(FRUIT, moments, steady, mesh), belt)
    assert seen.counted == len(FRUIT) == len(seen.passages)
    assert seen.switches == 0


def stop_and_go(time: float) -> float:
    """300 pixels a second, with 2 seconds of rest from 4.0 s on."""
    return SPEED * (min(time, 4.0) + max(time - 6.0, 0.0))


def back_and_forth(time: float) -> float:
    """Back by 90 pixels from 4.0 s on, then forward again."""
    return SPEED * (min(time, 4.0) - min(max(time - 4.0, 0.0), 0.3) + max(time - 5.0, 0.0))


@pytest.mark.parametrize("belt", [MOTIONS[1], MOTIONS[2]], ids=["encoder", "estimated"])
@pytest.mark.parametrize("position", [stop_and_go, back_and_forth])
@pytest.mark.parametrize("image", [None, mesh], ids=["plain", "mesh"])
def test_a_belt_that_stops_or_goes_back_counts_nothing_twice(
    position: Callable[[float], float], belt: Belt, image: Callable[[float], NDArray[np.uint8]] | None
) -> None:
    seen = follow(shots(FRUIT, times(30, SECONDS + 2.0), position, image), belt)
    assert seen.counted == len(FRUIT) == len(seen.passages)
    assert seen.switches == 0


def together(shot: Shot, pairs: set[tuple[int, int]], while_at: Callable[[float], bool]) -> Shot:
    """Return a shot in which the finder makes one blob of each of some pairs at some places."""
    blobs, fruit = list(shot.blobs), list(shot.fruit)
    for first, second in pairs:
        if (first,) in fruit and (second,) in fruit:
            a, b = fruit.index((first,)), fruit.index((second,))
            if while_at((blobs[a].x + blobs[b].x) / 2):
                whole = merged(blobs[a], blobs[b])
                blobs = [blob for n, blob in enumerate(blobs) if n not in (a, b)] + [whole]
                fruit = [one for n, one in enumerate(fruit) if n not in (a, b)] + [(first, second)]
    return Shot(shot.frame, blobs, fruit)


TOUCHING = [MovingFruit(-40.0 - 200 * n - 55 * k, 60.0, 60.0, 50.0) for n in range(8) for k in range(2)]
PAIRS = {(n, n + 1) for n in range(0, 16, 2)}


@pytest.mark.parametrize("belt", MOTIONS, ids=IDS)
@pytest.mark.parametrize("where", [(200, 300), (300, 500), (380, 420), (-100, 300), (-100, 450)])
def test_fruit_that_merge_and_part_keep_their_numbers(where: tuple[int, int], belt: Belt) -> None:
    low, high = where
    seen = follow((together(s, PAIRS, lambda x: low < x < high) for s in shots(TOUCHING, times(30, 8.0), steady)), belt)
    assert seen.counted == len(TOUCHING) == len(seen.passages)
    if low > 0:
        assert seen.switches == 0
    truth = sorted((belt.decision_line - one.place) / SPEED for one in TOUCHING)
    assert np.allclose(sorted(p.passed_time for p in seen.passages), truth, atol=0.1)


def test_fruit_that_is_beyond_the_line_at_the_start_is_not_counted() -> None:
    fruit = [MovingFruit(place, 60.0) for place in (550.0, 430.0, 300.0, 100.0)]
    seen = follow(shots(fruit, times(30, 4.0), steady))
    assert [p.status for p in seen.passages] == ["present at start", "present at start", "decided", "decided"]


def test_fruit_in_view_at_the_end_is_incomplete() -> None:
    seen = follow(shots(FRUIT, times(30, 4.0), steady))
    passed = sum(one.place + steady(4.0 - 1 / 30) >= BELT.decision_line for one in FRUIT)
    in_view = sum(30 < one.place + steady(4.0) < BELT.decision_line for one in FRUIT)
    assert seen.counted == passed
    assert abs(len(seen.passages) - passed - in_view) <= 1
    assert [p.fruit for p in seen.passages if p.status == "incomplete"] == sorted(
        p.fruit for p in seen.passages if p.status == "incomplete"
    )


@pytest.mark.parametrize("belt", MOTIONS[:3], ids=IDS[:3])
def test_what_does_not_move_with_the_belt_is_no_fruit(belt: Belt) -> None:
    rng = np.random.default_rng(2)
    still = [ellipse(390, 120, 40, 20), ellipse(500, 118, 40, 20), ellipse(12, 122, 24, 20)]
    spots = [blob for blob in still if blob is not None]

    def with_spots(shot: Shot) -> Shot:
        shown = [blob for blob in spots if rng.random() < 0.7]
        return Shot(shot.frame, [*shot.blobs, *shown], [*shot.fruit, *[(-1,)] * len(shown)])

    seen = follow((with_spots(s) for s in shots(FRUIT, times(30, SECONDS), steady, mesh)), belt)
    assert seen.counted == len(FRUIT) == len(seen.passages)


def test_a_fruit_that_rolls_keeps_its_number() -> None:
    fruit = [MovingFruit(-40.0 - 150 * n, 60.0, roll=(-60.0, 0.0, 40.0)[n % 3]) for n in range(9)]
    seen = follow(shots(fruit, times(30, 9.0), steady), MOTIONS[2])
    assert seen.counted == len(fruit) == len(seen.passages)
    assert seen.switches == 0


@pytest.mark.parametrize("belt", MOTIONS[:3], ids=IDS[:3])
def test_a_restored_tracker_goes_on_bit_for_bit(belt: Belt) -> None:
    rng = np.random.default_rng(3)
    seen = [without(shot, lambda n: rng.random() < 0.2) for shot in shots(FRUIT, times(30, 5.0), back_and_forth, mesh)]
    axes = Axes(CAMERA, belt)
    straight = make_tracker(axes, TrackingConfig())
    resumed = make_tracker(axes, TrackingConfig())
    for shot in seen:
        fresh = make_tracker(axes, TrackingConfig())
        fresh.restore(json.loads(json.dumps(resumed.state())))
        resumed = fresh
        expected, found = straight.update(shot.frame, shot.blobs), resumed.update(shot.frame, shot.blobs)
        assert found.passages == expected.passages
        assert [vars(s) for s in found.sightings] == [vars(s) for s in expected.sightings]
    assert json.dumps(resumed.state()) == json.dumps(straight.state())
    assert resumed.close() == straight.close()


def halves(shot: Shot, apart: Callable[[int, float], bool]) -> Shot:
    """Return a shot in which the finder makes two blobs of some fruit: of its front and of its back."""
    blobs, fruit = [], []
    for blob, shown in zip(shot.blobs, shot.fruit, strict=True):
        middle = blob.box.width // 2
        if apart(shown[0], blob.x) and middle > 15:
            parts = [
                (blob.mask[:, : middle - 2], blob.box.left),
                (blob.mask[:, middle + 2 :], blob.box.left + middle + 2),
            ]
            pieces = [piece for mask, left in parts if (piece := shaped(mask, left, blob.box.top)) is not None]
        else:
            pieces = [blob]
        blobs += pieces
        fruit += [shown] * len(pieces)
    return Shot(shot.frame, blobs, fruit)


def test_a_fruit_that_the_finder_takes_apart_is_one() -> None:
    """Every other fruit falls into two pieces for an eighth of a second, somewhere on its way."""
    place = {n: 150.0 + 37 * (n % 11) for n in range(len(FRUIT))}
    seen = follow(
        halves(s, lambda n, x: n % 2 == 1 and n > 6 and place[n] < x < place[n] + 36)
        for s in shots(FRUIT, times(30, SECONDS), steady)
    )
    assert seen.counted == len(FRUIT) == len(seen.passages)
    assert max(len(set(numbers)) for numbers in seen.identities.values()) == 1
    assert all(sighting.blob.area > 1000 for sighting in seen.sightings if 80 < sighting.along < 560)


def test_two_moments_in_which_a_piece_is_seen_make_no_fruit() -> None:
    """A piece is found beside its fruit once, and half a second later again: between, there was nothing."""

    def torn(shot: Shot) -> Shot:
        blobs, fruit = list(shot.blobs), list(shot.fruit)
        for blob, shown in zip(shot.blobs, shot.fruit, strict=True):
            if shown[0] > 6 and (340 < blob.x < 351 or 500 < blob.x < 511):
                piece = shaped(
                    blob.mask[-blob.box.height // 2 :], blob.box.left, blob.box.bottom - blob.box.height // 2
                )
                assert piece is not None
                blobs.append(piece)
                fruit.append(shown)
        return Shot(shot.frame, blobs, fruit)

    seen = follow(torn(s) for s in shots(FRUIT, times(30, SECONDS), steady))
    assert seen.counted == len(FRUIT) == len(seen.passages)


def test_pieces_that_stay_apart_are_two_fruit() -> None:
    """Two small fruit that are found as one of the usual size, until they part."""
    small = [MovingFruit(-900.0, 60.0, 40.0, 34.0), MovingFruit(-936.0, 60.0, 40.0, 34.0)]
    usual = [MovingFruit(-40.0 - 150 * n, 60.0, 56.0, 48.0) for n in range(5)]
    seen = follow(together(s, {(5, 6)}, lambda x: x < 220) for s in shots([*usual, *small], times(30, 7.0), steady))
    assert seen.counted == 7


def test_what_is_much_smaller_than_fruit_is_none() -> None:
    rng = np.random.default_rng(4)
    crumbs = [MovingFruit(-800.0 - 90 * n, 120.0 + float(rng.normal(0, 3)), 18.0, 14.0) for n in range(12)]
    fruit = [MovingFruit(-40.0 - 90 * n, 60.0) for n in range(16)]
    seen = follow(shots([*fruit, *crumbs], times(30, 8.0), steady))
    assert seen.counted == len(fruit)
