"""Samplers: where candidate architectures come from, by ask and tell."""

from mango_grader.automl.samplers.base import Constraint, InfeasibleError, Sampler, distinct, unconstrained
from mango_grader.automl.samplers.controller import Controller, ControllerSettings
from mango_grader.automl.samplers.evolution import Evolution, EvolutionSettings
from mango_grader.automl.samplers.uniform import UniformSampler
from mango_grader.automl.samplers.vae import VaeSampler, VaeSettings

__all__ = [
    "Constraint", "Controller", "ControllerSettings", "Evolution", "EvolutionSettings", "InfeasibleError", "Sampler",
    "UniformSampler", "VaeSampler", "VaeSettings", "distinct",
    "unconstrained",
]  # fmt: skip
