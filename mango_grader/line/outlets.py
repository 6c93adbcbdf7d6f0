"""Outlets: where fruit leave the belt, which fruit go to which, and when they are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mango_grader.errors import UsageError
from mango_grader.line.belt import Axes
from mango_grader.line.observations import Passage
from mango_grader.settings import Section
from mango_grader.text import listed, one_line


@dataclass(frozen=True)
class OutletRule(Section):
    """Other outlets for the fruit of one lane, of one lot, or of one lane in one lot.

    Attributes:
        lane: number of the lane, from 1; None is every lane.
        lot: name of the lot; None is every lot.
        grades: name of the outlet by grade, for some grades or all.
        review: outlet of fruit that a person should look at; None is as without the rule.
        late: outlet of fruit that were decided too late; None is as without the rule.
        unknown: outlet of fruit without a grade; None is as without the rule.
    """

    lane: int | None = None
    lot: str | None = None
    grades: Mapping[str, str] = field(default_factory=dict)
    review: str | None = None
    late: str | None = None
    unknown: str | None = None


@dataclass(frozen=True)
class OutletsConfig(Section):
    """Which fruit go to which outlet.

    Attributes:
        grades: name of the outlet by grade.
        review: outlet of fruit that a person should look at; None sends them where their grade goes.
        late: outlet of fruit that were decided too late; None is `default`.
        unknown: outlet of fruit without a grade; None is `default`.
        default: the safe outlet, where fruit go that nothing ejects, such as the end of the belt.
        distance_mm: from the decision line to each outlet along the belt, by the outlet's name.
        rules: other outlets for some lanes or lots; the first one that fits and names an outlet wins.
    """

    grades: Mapping[str, str] = field(default_factory=dict)
    review: str | None = None
    late: str | None = None
    unknown: str | None = None
    default: str | None = None
    distance_mm: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[OutletRule, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if wrong := [name for name, distance in self.distance_mm.items() if not 0 <= distance < 1e9]:
            raise UsageError(f"outlets.distance_mm: that of {one_line(wrong[0])} must be 0 or more")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all outlets, each once, sorted."""
        levels: tuple[OutletsConfig | OutletRule, ...] = (self, *self.rules)
        found = {self.default}
        for each in levels:
            found |= {each.review, each.late, each.unknown, *each.grades.values()}
        return tuple(sorted(name for name in found if name is not None))


@dataclass(frozen=True)
class Due:
    """When a fruit is at its outlet.

    Attributes:
        time: seconds on the clock of the frames; None where the speed or the distance is not known.
        ticks: position of the encoder; None without one, or where the distance is not known.
    """

    time: float | None = None
    ticks: float | None = None


class OutletMap:
    """Says to which outlet a fruit goes, and when it is there.

    Where the belt has an encoder, a fruit is due at the count at which it crossed the decision line and the ticks to
    its outlet, whatever the belt does in between. Without one, it is due after the time that the way takes at the speed
    at the crossing, which is right as long as the belt keeps it.

    Args:
        config: of the outlets.
        classes: of the model.
        axes: of the camera and the belt.

    Raises:
        UsageError: a name is unknown, a grade has no outlet though others have, or a distance cannot be told in pixels.

    Example:
        >>> from mango_grader.line.belt import Belt, Camera
        >>> axes = Axes(Camera(640, 480, mm_per_px=0.5), Belt("right", 500, motion="encoder", px_per_tick=4.0))
        >>> config = OutletsConfig(grades={"A": "box", "B": "juice"}, distance_mm={"box": 800.0})
        >>> outlets = OutletMap(config, ("A", "B"), axes)
        >>> outlets.outlet("A", lane=1)
        'box'
        >>> passed = Passage(1, 1, "decided", 0, 0.0, 9, 0.9, passed_ticks=100.0, across=80.0, sightings=9)
        >>> outlets.due("box", passed).ticks
        500.0
    """

    def __init__(self, config: OutletsConfig, classes: Sequence[str], axes: Axes) -> None:
        _check(config, classes, axes)
        self._config, self._axes = config, axes

    def outlet(
        self, grade: str | None, *, lane: int, lot: str = "", review: bool | None = None, late: bool | None = None
    ) -> str | None:
        """Return the name of the outlet of a fruit; None where it goes to none.

        Being late goes before all else, then having no grade, then a person's look, then the grade.

        Args:
            grade: name of a class; None for a fruit without one.
            lane: number of its lane, from 1; 0 for none.
            lot: name of its lot.
            review: whether a person should look.
            late: whether it was decided too late.
        """
        fitting = [rule for rule in self._config.rules if rule.lane in (None, lane) and rule.lot in (None, lot)]
        levels: list[OutletRule | OutletsConfig] = [*fitting, self._config]
        if late:
            return _first([each.late for each in levels]) or self._config.default
        if grade is None:
            return _first([each.unknown for each in levels]) or self._config.default
        asked = _first([each.review for each in levels]) if review else None
        return asked or _first([each.grades.get(grade) for each in levels])

    def due(self, outlet: str | None, passage: Passage) -> Due:
        """Return when a fruit is at its outlet.

        Args:
            outlet: its name; None for none.
            passage: of the fruit over the decision line.
        """
        distance_mm = None if outlet is None else self._config.distance_mm.get(outlet)
        if distance_mm is None or self._axes.camera.mm_per_px is None:
            return Due()
        way = distance_mm / self._axes.camera.mm_per_px
        px_per_tick, speed = self._axes.belt.px_per_tick, passage.speed
        ticks = None if passage.passed_ticks is None or not px_per_tick else passage.passed_ticks + way / px_per_tick
        return Due(passage.passed_time + way / speed if speed is not None and speed > 0 else None, ticks)


def _first(names: Sequence[str | None]) -> str | None:
    return next((name for name in names if name is not None), None)


def _check(config: OutletsConfig, classes: Sequence[str], axes: Axes) -> None:
    graded = {"outlets.grades": config.grades}
    graded |= {f"outlets.rules[{number}].grades": rule.grades for number, rule in enumerate(config.rules)}
    for where, grades in graded.items():
        if unknown := [grade for grade in grades if grade not in classes]:
            raise UsageError(
                f"{where}: {one_line(listed(unknown, 3))} is no class of the model, which has"
                f" {one_line(listed(classes, 10))}"
            )
    if config.names and (missing := [grade for grade in classes if grade not in config.grades]):
        raise UsageError(f"outlets.grades: name an outlet for {one_line(listed(missing, 3))}, too")
    if unused := [name for name in config.distance_mm if name not in config.names]:
        known = f"; there are {one_line(listed(config.names, 10))}" if config.names else ""
        raise UsageError(f"outlets.distance_mm: no fruit go to an outlet {one_line(listed(unused, 3))}{known}")
    if config.distance_mm and axes.camera.mm_per_px is None:
        raise UsageError("outlets.distance_mm: camera.mm_per_px is needed for it; `conveyor calibrate` measures it")
    if wrong := [rule.lane for rule in config.rules if rule.lane and not 0 < rule.lane <= max(len(axes.belt.lanes), 1)]:
        raise UsageError(f"outlets.rules: there is no lane {wrong[0]}")
