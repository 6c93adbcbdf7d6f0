"""The simulated belt: rolling synthetic mangoes, seen by a camera, and the truth about each of them."""

from mango_grader.line.simulator.belt import SimulatedBelt
from mango_grader.line.simulator.presets import PRESETS, read_settings
from mango_grader.line.simulator.settings import Change, SimulatorSettings
from mango_grader.line.simulator.truth import Shown, Truth
from mango_grader.line.simulator.write import WrittenBelt, line_config, write_belt

__all__ = [
    "PRESETS",
    "Change",
    "Shown",
    "SimulatedBelt",
    "SimulatorSettings",
    "Truth",
    "WrittenBelt",
    "line_config",
    "read_settings",
    "write_belt",
]
