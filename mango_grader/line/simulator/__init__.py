"""The simulated belt: rolling synthetic mangoes, seen by a camera, and the truth about each of them."""

from mango_grader.line.simulator.belt import SimulatedBelt
from mango_grader.line.simulator.settings import PRESETS, Change, SimulatorSettings
from mango_grader.line.simulator.truth import Shown, Truth

__all__ = ["PRESETS", "Change", "Shown", "SimulatedBelt", "SimulatorSettings", "Truth"]
