"""The page of a comparison."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_report import Page

from mango_grader.report import Against, ComparisonData, MeanExit, Spread, Standing, write_comparison
from mango_grader.training.bootstrap import Difference, Estimate


def standing(name: str, accuracy: float, **fields: object) -> Standing:
    seen = accuracy - 0.031
    exits = tuple(
        MeanExit(Spread(accuracy - loss, 0.02), Spread(seen, 0.01), Spread(macs, 5e4), Spread(macs / 50, 1e3))
        for loss, macs in ((0.1, 4e6), (0.0, 1.2e7))
    )
    plain = Standing(
        name=name,
        runs=3,
        exits=exits,
        validated=240,
        pooled=Estimate(accuracy, accuracy - 0.05, accuracy + 0.05),
        pictures=300,
        groups=90,
        area=Spread(accuracy - 0.2, 0.01),
        search_s=Spread(100.0, 5.0),
        train_s=Spread(90.0, 5.0),
        whole_s=Spread(230.0, 5.0),
        to_best=None,
        to_random=None,
    )
    return replace(plain, **fields)


BEHIND = Against("dso/<dag>", Difference(-0.041, -0.08, -0.002, 0.0377), 405)
AHEAD = Against("random/dag", Difference(0.041, 0.002, 0.08, 0.0377), 405)
DATA = ComparisonData(
    title="Mangoes <2026>",
    standings=(standing("dso/<dag>", 0.842, to_random=AHEAD), standing("random/dag", 0.801, to_best=BEHIND)),
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


def test_the_page_tells_standings_and_differences(tmp_path: Path) -> None:
    found = page(DATA, tmp_path)
    assert {"standings", "curves", "differences", "limits", "settings"} <= set(found.ids)
    assert {address[1:] for address in found.addresses} <= set(found.ids), "every link leads to a section"
    shares = ("84.2 %", "81.1 %", "± 2.0", "+4.1", "−4.1", "0.038")
    for words in ("dso/<dag>", *shares, "12.0 M", "3 min 50 s", "options.preset"):
        assert words in found.text, words
    assert "warnings" not in found.ids, "the figures give cause for none"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": None}, "No budget was given"),
        ({"budget": 200.0}, "more than the 3 min 20 s"),
        ({"asked": 5}, "3 of 5 runs"),
        ({"asked": 1}, "little about the luck of a seed"),
        ({"failures": {"enas/dag #2": "none obeys"}}, "enas/dag #2 failed: none obeys"),
    ],
)
def test_what_to_doubt_is_said(change: dict[str, object], says: str, tmp_path: Path) -> None:
    assert says in page(replace(DATA, **change), tmp_path).text


def test_many_entries_and_none(tmp_path: Path) -> None:
    many = tuple(standing(f"method{place}", 0.8 - place / 100) for place in range(21))
    found = page(replace(DATA, standings=many), tmp_path)
    assert "method20" in found.text
    assert "differences" not in found.ids, "nobody was held against anybody"
    assert "No run came to its end." in page(replace(DATA, standings=()), tmp_path).text
