"""What people read: the report and model card of a run, the page of a comparison, the drawn architecture."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.report.architecture import draw_architecture
    from mango_grader.report.caveats import limits, warnings
    from mango_grader.report.comparison import ComparisonData, write_comparison
    from mango_grader.report.content import Example, Reference, ReportData, pick_examples
    from mango_grader.report.evaluation import EvaluationData, write_evaluation
    from mango_grader.report.run import model_card, write_report
    from mango_grader.report.sweep import SweepData, write_sweep

__all__ = [
    "ComparisonData", "EvaluationData", "Example", "Reference", "ReportData", "SweepData", "draw_architecture",
    "limits", "model_card", "pick_examples", "warnings", "write_comparison", "write_evaluation", "write_report",
    "write_sweep",
]  # fmt: skip

# matplotlib takes a second to import, so names are fetched when asked for.
__getattr__ = lazy_names(
    __name__,
    {
        "architecture": ("draw_architecture",),
        "caveats": ("limits", "warnings"),
        "comparison": ("ComparisonData", "write_comparison"),
        "content": ("Example", "Reference", "ReportData", "pick_examples"),
        "evaluation": ("EvaluationData", "write_evaluation"),
        "run": ("model_card", "write_report"),
        "sweep": ("SweepData", "write_sweep"),
    },
)
