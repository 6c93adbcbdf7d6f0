"""What a network is made of, as plain data: no torch. A new operation is a dataclass here and a class in `modules`."""

from mango_grader.models.operations.base import Operation, Shape
from mango_grader.models.operations.basic import (
    Add,
    Classifier,
    Concat,
    Convolution,
    DropPath,
    Identity,
    Match,
    Normalise,
    Pool,
    ScaleGradient,
    SeparableConvolution,
    Torchvision,
    Zero,
)
from mango_grader.models.operations.darts import CellConvolution, FactorisedReduction
from mango_grader.models.operations.mobile import Activation, InvertedResidual, ShuffleUnit

__all__ = [
    "Activation", "Add", "CellConvolution", "Classifier", "Concat", "Convolution", "DropPath", "FactorisedReduction",
    "Identity", "InvertedResidual", "Match", "Normalise", "Operation", "Pool", "ScaleGradient", "SeparableConvolution",
    "Shape", "ShuffleUnit", "Torchvision", "Zero",
]  # fmt: skip
