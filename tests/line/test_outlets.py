"""Outlets: which fruit go where, and when they are there."""

import re
from typing import Any

import pytest

from mango_grader.errors import UsageError
from mango_grader.line import Axes, Belt, Camera, Lane, OutletMap, OutletRule, OutletsConfig, Passage
from mango_grader.settings import checked_section

CLASSES = ("A", "B", "C")
GRADES = {"A": "box", "B": "crate", "C": "juice"}
LANES = (Lane(0, 240), Lane(240, 480))


def axes(**belt: Any) -> Axes:
    return Axes(Camera(640, 480, mm_per_px=0.5), Belt("right", decision_line=500, lanes=LANES, **belt))


def passage(**fields: Any) -> Passage:
    values = {"passed_time": 10.0, "passed_ticks": None, "across": 100.0, "sightings": 5, **fields}
    return Passage(1, 1, "decided", 0, 0.0, 9, **values)


def outlets(**config: Any) -> OutletMap:
    return OutletMap(checked_section(OutletsConfig, {"grades": GRADES, **config}, "outlets"), CLASSES, axes())


def test_a_fruit_goes_where_its_grade_goes() -> None:
    assert [outlets().outlet(grade, lane=1) for grade in CLASSES] == ["box", "crate", "juice"]


def test_late_goes_before_unknown_before_review_before_the_grade() -> None:
    found = outlets(review="table", late="end", unknown="bin")
    assert found.outlet("A", lane=1, review=True, late=False) == "table"
    assert found.outlet(None, lane=1, review=True) == "bin"
    assert found.outlet("A", lane=1, review=True, late=True) == "end"
    assert found.outlet(None, lane=1, late=True) == "end"
    assert found.outlet("A", lane=1, review=False, late=False) == "box"


def test_what_has_no_outlet_of_its_own_goes_to_the_default_one() -> None:
    found = outlets(default="end")
    assert found.outlet("A", lane=1, late=True) == "end"
    assert found.outlet(None, lane=1) == "end"
    assert found.outlet("A", lane=1, review=True) == "box"


def test_without_outlets_fruit_go_to_none() -> None:
    found = OutletMap(OutletsConfig(), CLASSES, axes())
    assert found.outlet("A", lane=1) is None
    assert found.outlet(None, lane=1, late=True) is None


def test_a_lane_and_a_lot_may_have_outlets_of_their_own() -> None:
    rules = [
        {"lane": 2, "lot": "L7", "grades": {"A": "gift box 2"}},
        {"lane": 2, "grades": {"A": "box 2", "B": "crate 2"}, "unknown": "bin 2"},
        {"lot": "L7", "grades": {"A": "gift box"}, "review": "desk"},
    ]
    found = outlets(rules=rules, unknown="bin")
    assert found.outlet("A", lane=1) == "box"
    assert found.outlet("A", lane=1, lot="L7") == "gift box"
    assert found.outlet("A", lane=2) == "box 2"
    assert found.outlet("A", lane=2, lot="L7") == "gift box 2"
    assert found.outlet("B", lane=2, lot="L7") == "crate 2"
    assert found.outlet("C", lane=2, lot="L7") == "juice"
    assert found.outlet(None, lane=2) == "bin 2"
    assert found.outlet(None, lane=1, lot="L7") == "bin"
    assert found.outlet("C", lane=2, lot="L7", review=True) == "desk"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"grades": {"A": "box"}}, "outlets.grades: name an outlet for B, C, too"),
        ({"grades": {}, "review": "table"}, "outlets.grades: name an outlet for A, B, C, too"),
        ({"grades": {**GRADES, "D": "box"}}, "outlets.grades: D is no class of the model, which has A, B, C"),
        ({"rules": [{"grades": {"a": "box"}}]}, "outlets.rules[0].grades: a is no class of the model"),
        ({"rules": [{"lane": 3}]}, "outlets.rules: there is no lane 3"),
        ({"distance_mm": {"bxo": 100.0}}, "no fruit go to an outlet bxo; there are box, crate, juice"),
        ({"distance_mm": {"box": -1.0}}, "that of box must be 0 or more"),
        ({"ditsance_mm": {}}, "no setting is called ditsance_mm; there are"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(config: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        outlets(**config)
    assert "\n" not in str(caught.value)


def test_a_distance_needs_a_scale() -> None:
    config = OutletsConfig(grades=GRADES, distance_mm={"box": 100.0})
    with pytest.raises(UsageError, match=r"camera\.mm_per_px is needed"):
        OutletMap(config, CLASSES, Axes(Camera(640, 480), Belt("right", decision_line=500)))


def test_with_an_encoder_a_fruit_is_due_at_a_count() -> None:
    config = OutletsConfig(grades=GRADES, distance_mm={"box": 800.0, "juice": 0.0})
    found = OutletMap(config, CLASSES, axes(motion="encoder", px_per_tick=4.0))
    passed = passage(passed_ticks=1000.5, speed=320.0)
    assert found.due("box", passed).ticks == 1000.5 + 800 / 0.5 / 4
    assert found.due("juice", passed).ticks == 1000.5


def test_without_an_encoder_the_speed_at_the_crossing_counts() -> None:
    config = OutletsConfig(grades=GRADES, distance_mm={"box": 800.0})
    found = OutletMap(config, CLASSES, axes(motion="speed", speed=320.0))
    due = found.due("box", passage(speed=400.0))
    assert (due.time, due.ticks) == (10.0 + 1600 / 400, None)


@pytest.mark.parametrize("speed", [None, 0.0])
def test_a_belt_of_unknown_speed_gives_no_due_time(speed: float | None) -> None:
    config = OutletsConfig(grades=GRADES, distance_mm={"box": 800.0})
    assert OutletMap(config, CLASSES, axes()).due("box", passage(speed=speed)).time is None


def test_an_outlet_without_a_distance_is_never_due() -> None:
    due = outlets().due("box", passage(passed_ticks=5.0, speed=1.0))
    assert (due.time, due.ticks) == (None, None)
    assert outlets().due(None, passage()).time is None


def test_every_outlet_is_named_once() -> None:
    config = OutletsConfig(grades=GRADES, late="end", default="end", rules=(OutletRule(lane=1, review="desk"),))
    assert config.names == ("box", "crate", "desk", "end", "juice")
