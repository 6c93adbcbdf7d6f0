"""Pages on a phone: as wide as it is, with words that can be read."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from pages import PHONE, Page, chart_text_sizes, check_fits_a_phone
from test_comparison import DATA, entry

from mango_grader.report import ReportData, draw_architecture, model_card
from mango_grader.report.comparison import render_comparison
from mango_grader.report.run import render_report

LONG = ("Bacterial_Canker_of_the_leaf", "Anthracnose (advanced)", "Healthy")
MARGINS = 58
"""Pixels beside a chart: those of the page, of its section and of that one's frame, both sides."""


@pytest.fixture(scope="module")
def pages(data: ReportData) -> dict[str, str]:
    many = tuple(entry(f"efficientnet_lite0_front_halved_{place}", 0.8 - place / 100) for place in range(5))
    return {
        "report": render_report(replace(data, classes=LONG)),
        "comparison": render_comparison(replace(DATA, ranking=many)),
    }


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_pages_fit_a_phone_and_break_no_class_name(name: str, pages: dict[str, str]) -> None:
    check_fits_a_phone(pages[name])


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_the_text_of_charts_can_be_read_on_a_phone(name: str, pages: dict[str, str]) -> None:
    html = pages[name]
    sizes = chart_text_sizes(html, PHONE - MARGINS)
    assert len(sizes) > 10
    assert min(sizes) >= 10
    page = Page(html)
    charts = [each.kinds for each in page.elements if each.tag == "svg" and "plot" in each.kinds]
    assert charts == [{"plot", "broad"}, {"plot", "narrow"}] * (len(charts) // 2), "each is there for both"
    assert "display: none" in page.rules("svg.narrow")
    assert "display: block" in page.rules("svg.narrow")
    assert "display: none" in page.rules("svg.broad")


def test_long_class_names_are_whole_in_the_charts_of_a_phone(pages: dict[str, str]) -> None:
    for name in LONG:
        assert pages["report"].count(f">{name}</text>") == 2 * 3, "in both forms of three exits' recalls"


def test_a_drawn_network_is_as_large_on_a_phone_as_it_is_drawn(data: ReportData, pages: dict[str, str]) -> None:
    assert data.spec is not None
    drawn = ElementTree.fromstring(draw_architecture(data.spec))
    assert drawn.get("style") == f"--full:{(drawn.get('viewBox') or '').split()[2]}px"
    assert "min-width: var(--full)" in Page(pages["report"]).rules("svg.architecture")


def test_terms_are_said_in_words(pages: dict[str, str], data: ReportData) -> None:
    for words in ("work per image", "(multiply-adds)", "model size", "takes longer on the same machine"):
        assert words in pages["report"], words
    for words in ("average accuracy over work budgets (area)", "(area under the curve below)", "work per image"):
        assert words in pages["comparison"], words
    assert "work per image (multiply-adds) | size (parameters)" in model_card(data)


def test_one_run_of_one_entry_is_singular() -> None:
    html = render_comparison(replace(DATA, ranking=(entry("dso/dag", 0.8, runs=1),), asked=1))
    assert "1 entry, 1 run each" in html
    assert "1 run per entry says little" in html
    assert not [wrong for wrong in ("1 entries", "1 runs", "1 images", "1 groups") if wrong in html]
