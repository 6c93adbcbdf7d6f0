"""The lot report: what a line decided, whether something is wrong, and images of fruit, on one page."""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.line.report.figures import LotFigures, read_lot
    from mango_grader.line.report.notes import LotNotes
    from mango_grader.line.report.page import write_report
    from mango_grader.line.report.verdict import what_is_wrong

__all__ = ["LotFigures", "LotNotes", "read_lot", "what_is_wrong", "write_report"]

__getattr__ = lazy_names(
    __name__,
    {
        "figures": ("LotFigures", "read_lot"),
        "notes": ("LotNotes",),
        "page": ("write_report",),
        "verdict": ("what_is_wrong",),
    },
)
