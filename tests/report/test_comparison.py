"""The page of a comparison."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_report import Page

from mango_grader.report import ComparisonData, write_comparison
from mango_grader.training.bootstrap import Difference, Estimate
from mango_grader.training.ranking import MeanExit, MeanSd, PairedDifference, RankedEntry


def entry(name: str, accuracy: float, **fields: object) -> RankedEntry:
    seen = accuracy - 0.031
    exits = tuple(
        MeanExit(MeanSd(accuracy - loss, 0.02), MeanSd(seen, 0.01), MeanSd(macs, 5e4), MeanSd(macs / 50, 1e3))
        for loss, macs in ((0.1, 4e6), (0.0, 1.2e7))
    )
    plain = RankedEntry(
        name=name,
        runs=3,
        exits=exits,
        validated=240,
        pooled=Estimate(accuracy, accuracy - 0.05, accuracy + 0.05),
        images=300,
        groups=90,
        area=MeanSd(accuracy - 0.2, 0.01),
        search_s=MeanSd(100.0, 5.0),
        train_s=MeanSd(90.0, 5.0),
        whole_s=MeanSd(230.0, 5.0),
        to_best=None,
        to_random=None,
    )
    return replace(plain, **fields)


BEHIND = PairedDifference("dso/<dag>", Difference(-0.041, -0.08, -0.002, 0.0377), 405)
AHEAD = PairedDifference("random/dag", Difference(0.041, 0.002, 0.08, 0.0377), 405)
DATA = ComparisonData(
    title="Mangoes <2026>",
    ranking=(entry("dso/<dag>", 0.842, to_random=AHEAD), entry("random/dag", 0.801, to_best=BEHIND)),
    asked=3,
    budget=240.0,
    settings={"seeds": 3, "options": {"preset": "quick"}},
    provenance={"version": "0.1.0"},
)


def page(data: ComparisonData, tmp_path: Path) -> Page:
    write_comparison(tmp_path / "comparison.html", data)
    html = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "http" not in html, "nothing is loaded from anywhere"
    return Page(html)


def test_the_page_tells_the_ranking_and_differences(tmp_path: Path) -> None:
    found = page(DATA, tmp_path)
    assert {"ranking", "curves", "differences", "limits", "settings"} <= set(found.ids)
    assert {address[1:] for address in found.addresses} <= set(found.ids), "every link leads to a section"
    shares = ("84.2 %", "81.1 %", "± 2.0", "+4.1", "−4.1", "0.038")
    for words in ("dso/<dag>", *shares, "12.0 M", "3 min 50 s", "options.preset"):
        assert words in found.text, words
    assert "warnings" not in found.ids, "nothing to warn of"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": None}, "No budget was given"),
        ({"budget": 200.0}, "more than the budget of 3 min 20 s"),
        ({"asked": 5}, "3 of 5 runs"),
        ({"asked": 1}, "little about the variation between seeds"),
        ({"failures": {"enas/dag #2": "none obeys"}}, "enas/dag #2 failed: none obeys"),
    ],
)
def test_what_to_doubt_is_warned_of(change: dict[str, object], says: str, tmp_path: Path) -> None:
    assert says in page(replace(DATA, **change), tmp_path).text


def test_many_entries_and_none(tmp_path: Path) -> None:
    many = tuple(entry(f"method{place}", 0.8 - place / 100) for place in range(21))
    found = page(replace(DATA, ranking=many), tmp_path)
    assert "method20" in found.text
    assert "differences" not in found.ids, "no two entries were compared"
    assert "No run has finished." in page(replace(DATA, ranking=()), tmp_path).text
