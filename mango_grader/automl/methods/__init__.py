"""Search methods: one module each. A new one is exported here, and nowhere else."""

from mango_grader.automl.methods.base import ArchStep, Phase, Round, SearchMethod
from mango_grader.automl.methods.enas import Enas, EnasSettings
from mango_grader.automl.methods.random import RandomSearch, RandomSettings

__all__ = ["ArchStep", "Enas", "EnasSettings", "Phase", "RandomSearch", "RandomSettings", "Round", "SearchMethod"]
