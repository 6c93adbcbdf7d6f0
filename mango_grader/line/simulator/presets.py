"""Settings by name, and from files."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from mango_grader.errors import UsageError
from mango_grader.line.simulator.settings import Change, SimulatorSettings
from mango_grader.settings import checked_section, plain
from mango_grader.text import one_line

_STOPS = (
    Change(at=6.0, seconds=1.5, factor=0.0, every=17.0),
    Change(at=13.0, seconds=0.6, factor=-0.5, every=34.0),
)

PRESETS: Mapping[str, SimulatorSettings] = {
    "gentle": SimulatorSettings(touching=0.0, wander=0.0, jitter=0.0, light_drift=0.0, ripple=0.0, noise=1.0),
    "standard": SimulatorSettings(),
    "stops": SimulatorSettings(speed_changes=_STOPS),
    "hard": SimulatorSettings(
        touching=0.35, wander=0.3, foreign=0.05, exposure_ms=8.0, noise=4.0, light_drift=0.12, jitter=0.3,
        dropped=0.03, speed_changes=_STOPS, light_changes=(Change(at=9.0, seconds=4.0, factor=1.4, every=30.0),),
    ),
    "fast": SimulatorSettings(width=1280, height=720, fps=40.0, speed=1150.0, gap=0.35, exposure_ms=1.0),
}  # fmt: skip
"""Settings by name, as `conveyor simulate --preset` takes them."""


def read_settings(preset: str, path: Path | None = None) -> SimulatorSettings:
    """Return the settings of a preset, with those of a file in their place.

    Args:
        preset: name in `PRESETS`.
        path: of a TOML file with any of the settings; None for none.

    Raises:
        UsageError: there is no such preset or file, or a setting cannot be used.
    """
    if preset not in PRESETS:
        raise UsageError(f"no preset is called {one_line(preset)}; there are {', '.join(PRESETS)}")
    if path is None:
        return PRESETS[preset]
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
        return checked_section(SimulatorSettings, {**plain(PRESETS[preset]), **own})
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {one_line(str(error))}") from error
