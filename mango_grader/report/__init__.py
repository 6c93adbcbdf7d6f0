"""What a run tells people: the HTML report, the model card, the drawn architecture."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.report.architecture import draw_architecture
    from mango_grader.report.card import model_card
    from mango_grader.report.comparison import ComparisonData, write_comparison
    from mango_grader.report.content import DataSummary, Example, Part, Reference, ReportData, pick_examples
    from mango_grader.report.html import write_report
    from mango_grader.report.standing import Against, MeanExit, Spread, Standing

__all__ = [
    "Against", "ComparisonData", "DataSummary", "Example", "MeanExit", "Part", "Reference", "ReportData", "Spread",
    "Standing", "draw_architecture", "model_card", "pick_examples", "write_comparison", "write_report",
]  # fmt: skip

# matplotlib takes a second to import, so names are fetched when asked for.
__getattr__ = lazy_names(
    __name__,
    {
        "architecture": ("draw_architecture",),
        "card": ("model_card",),
        "comparison": ("ComparisonData", "write_comparison"),
        "content": ("DataSummary", "Example", "Part", "Reference", "ReportData", "pick_examples"),
        "html": ("write_report",),
        "standing": ("Against", "MeanExit", "Spread", "Standing"),
    },
)
