"""Search methods: one module each. A new one is exported here, and nowhere else."""

from collections.abc import Mapping

from mango_grader.automl.methods.base import ArchStep, MethodSettings, Phase, Round, SearchMethod
from mango_grader.automl.methods.enas import Enas, EnasSettings
from mango_grader.automl.methods.random import RandomSearch, RandomSettings

METHODS: Mapping[str, type[SearchMethod]] = {method.name: method for method in (Enas, RandomSearch)}

__all__ = [
    "METHODS", "ArchStep", "Enas", "EnasSettings", "MethodSettings", "Phase", "RandomSearch", "RandomSettings", "Round",
    "SearchMethod",
]  # fmt: skip
