"""The model card: what a bundle says about itself in words, as Markdown."""

from mango_grader import __version__
from mango_grader.report.content import ReportData
from mango_grader.report.remarks import limits, warnings
from mango_grader.report.templating import render


def model_card(data: ReportData) -> str:
    """Return the card of `data` as Markdown: what it is, its data, figures by exit with n and intervals, its limits."""
    return render(
        "card.md", autoescape=False, data=data, version=__version__, warnings=warnings(data), limits=limits(data)
    )
