"""What a run tells people: the HTML report, the model card, the drawn architecture."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mango_grader.report.architecture import draw_architecture
    from mango_grader.report.card import model_card
    from mango_grader.report.content import DataSummary, Example, Part, Reference, ReportData, pick_examples
    from mango_grader.report.html import write_report

__all__ = [
    "DataSummary", "Example", "Part", "Reference", "ReportData", "draw_architecture", "model_card", "pick_examples",
    "write_report",
]  # fmt: skip

# matplotlib takes a second to import, so names are fetched when asked for.
_HOMES = {
    "architecture": ("draw_architecture",),
    "card": ("model_card",),
    "content": ("DataSummary", "Example", "Part", "Reference", "ReportData", "pick_examples"),
    "html": ("write_report",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
