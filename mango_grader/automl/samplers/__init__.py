"""Samplers: where candidate architectures come from, by ask and tell."""

from mango_grader.automl.samplers.base import Sampler, UniformSampler, distinct
from mango_grader.automl.samplers.controller import Controller, ControllerSettings
from mango_grader.automl.samplers.evolution import Evolution, EvolutionSettings
from mango_grader.automl.samplers.fair import FairPaths
from mango_grader.automl.samplers.vae import VAE_TRIES, VaeSampler, VaeSettings

__all__ = [
    "VAE_TRIES", "Controller", "ControllerSettings", "Evolution", "EvolutionSettings", "FairPaths", "Sampler",
    "UniformSampler", "VaeSampler", "VaeSettings", "distinct",
]  # fmt: skip
