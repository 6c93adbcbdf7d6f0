"""From a trained network to a bundle: staged ONNX graphs, int8 stages, and the proof that both answer alike."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango_grader.export.bundle import export_bundle
    from mango_grader.export.onnx_graphs import Graphs, export_graphs
    from mango_grader.export.parity import Agreement, Parity, check_parity, quantised_agreement
    from mango_grader.export.quantise import quantise_stages

__all__ = [
    "Agreement", "Graphs", "Parity", "check_parity", "export_bundle", "export_graphs", "quantise_stages",
    "quantised_agreement",
]  # fmt: skip

# The ONNX exporter takes seconds to import, so names are fetched when asked for.
_HOMES = {
    "bundle": ("export_bundle",),
    "onnx_graphs": ("Graphs", "export_graphs"),
    "parity": ("Agreement", "Parity", "check_parity", "quantised_agreement"),
    "quantise": ("quantise_stages",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
