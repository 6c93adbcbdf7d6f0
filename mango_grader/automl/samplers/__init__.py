"""Samplers: where candidate architectures come from, by ask and tell."""

from mango_grader.automl.samplers.base import NoneAdmittedError, Sampler
from mango_grader.automl.samplers.controller import Controller, ControllerSettings
from mango_grader.automl.samplers.uniform import UniformSampler

__all__ = ["Controller", "ControllerSettings", "NoneAdmittedError", "Sampler", "UniformSampler"]
