"""From a trained network to a bundle: staged ONNX graphs, int8 stages, and the check of their answers."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.export.bundle import CalibrationImages, Description, ExportImages, Interface, export_bundle
    from mango_grader.export.onnx_graphs import Graphs, export_graphs
    from mango_grader.export.parity import Agreement, Parity, check_heat, check_parity, quantised_agreement
    from mango_grader.export.quantise import quantise_stages

__all__ = [
    "Agreement", "CalibrationImages", "Description", "ExportImages", "Graphs", "Interface", "Parity", "check_heat",
    "check_parity", "export_bundle", "export_graphs", "quantise_stages", "quantised_agreement",
]  # fmt: skip

# The ONNX exporter takes seconds to import, so names are fetched when asked for.
__getattr__ = lazy_names(
    __name__,
    {
        "bundle": ("CalibrationImages", "Description", "ExportImages", "Interface", "export_bundle"),
        "onnx_graphs": ("Graphs", "export_graphs"),
        "parity": ("Agreement", "Parity", "check_heat", "check_parity", "quantised_agreement"),
        "quantise": ("quantise_stages",),
    },
)
