"""Labels, kernel sizes and colours of operations in drawings."""

from collections.abc import Iterator

from mango_grader.models.operations import (
    Add,
    CellConvolution,
    Classifier,
    Concat,
    Convolution,
    DropPath,
    FactorisedReduction,
    Identity,
    InvertedResidual,
    Match,
    Normalise,
    Operation,
    Pool,
    ScaleGradient,
    SeparableConvolution,
    ShuffleUnit,
    Torchvision,
    Zero,
)

GLUE = (Add, Concat, DropPath, Identity, Match, Normalise, ScaleGradient, Zero)
"""Operations that only connect those that a drawing names."""

HUES = {
    "cell_convolution": "mango",
    "convolution": "leaf",
    "factorised_reduction": "leaf",
    "inverted_residual": "mango",
    "pool": "soft",
    "separable_convolution": "mango",
    "shuffle_unit": "mango",
    "torchvision": "wash",
}
"""Page colours by kind of operation; other kinds have the colour of the page."""

_DILATED = (CellConvolution, Convolution, SeparableConvolution)
_WITH_KERNEL = (CellConvolution, Convolution, InvertedResidual, Pool, SeparableConvolution, ShuffleUnit)


def kernel_of(op: Operation) -> int:
    """Return the side of the operation's window in pixels, 0 where it has none."""
    return op.kernel if isinstance(op, _WITH_KERNEL) else 0


def short(op: Operation) -> str:
    """Return the operation's name and kernel in about a dozen letters."""
    name = _name(op)
    return f"{name} {kernel_of(op)}×{kernel_of(op)}" if kernel_of(op) else name


def labels(op: Operation) -> tuple[str, str]:
    """Return two lines for the box of a single operation: its kernel, or else its name, and its other settings."""
    kernel = kernel_of(op)
    return f"{kernel}×{kernel}" if kernel else _name(op), " ".join(_marks(op))


def _marks(op: Operation) -> Iterator[str]:
    if isinstance(op, Pool | ShuffleUnit) and _name(op) != "shuffle":
        yield _name(op)
    if isinstance(op, _DILATED) and op.dilation > 1:
        yield f"dil {op.dilation}"
    if isinstance(op, InvertedResidual):
        yield f"×{op.expansion}"
    if isinstance(op, _WITH_KERNEL) and op.stride > 1:
        yield f"↓{op.stride}"


def _name(op: Operation) -> str:
    if isinstance(op, Pool):
        return "max" if op.maximum else "avg"
    if isinstance(op, _DILATED) and op.dilation > 1:
        return "dil"
    if isinstance(op, InvertedResidual):
        return f"mb{op.expansion}"
    if isinstance(op, ShuffleUnit):
        return "xception" if op.xception else "shuffle"
    return _NAMES.get(type(op), op.kind.replace("_", " "))


_NAMES: dict[type[Operation], str] = {
    CellConvolution: "sep",
    Classifier: "classify",
    Convolution: "conv",
    FactorisedReduction: "halve",
    SeparableConvolution: "sep",
    Torchvision: "net",
}
