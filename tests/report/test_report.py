import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mango_grader.report import ReportData, model_card, pick_examples, write_report
from mango_grader.report.run import render_report
from mango_grader.training.metrics import EvaluationSet, exit_metrics

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that tags nest, and collects ids, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data


@pytest.fixture(scope="module")
def html(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, data)
    return path.read_text(encoding="utf-8")


def test_every_section_is_there_and_every_link_leads_to_one(html: str) -> None:
    page = Page(html)
    sections = {
        *("warnings", "accuracy", "confusion", "examples", "architecture", "search", "training"),
        *("data", "limits", "settings"),
    }
    assert sections <= set(page.ids)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    for words in (
        "Accuracy and cost", "Exit policies", "Recall of each class", "Reliability", "Wrong, the most confident first",
        "Shortcut probe", "loss (weights)", "reward (architecture)", "score of 5 candidates", "validation accuracy",
        "ShuffleNetV2", "search.rates", "mangoes, 300 images", "What moved: 31.0 % of what was open is decided",
    ):  # fmt: skip
        assert words in page.text, words


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in re.sub(r"url\(#\w+\)", "", html)
    outside = [address for address in Page(html).addresses if not address.startswith(("#", "data:image/jpeg;base64,"))]
    assert outside == []


def test_names_are_escaped(html: str) -> None:
    assert "Mangoes &lt;2026&gt;" in html
    assert "<last>" not in html
    assert "B & co" in Page(html).text


def test_figures_are_those_given(html: str, data: ReportData) -> None:
    text = Page(html).text
    policy = data.policy
    assert policy is not None
    for each in data.exits:
        assert f"{100 * each.accuracy.value:.1f} %" in text
    assert f"{100 * policy.accuracy.value:.1f} % ({100 * (policy.accuracy.low or 0):.1f} to" in text
    assert f"{100 * policy.cost.value:.1f} % of the work (multiply-adds)" in text
    assert "of 90 images in 30 groups correctly" in text
    for row in data.exits[0].confusion:
        for count in row:
            assert f">{count}<small>" in html


def test_images_are_inline_and_say_what_was_answered(html: str, data: ReportData) -> None:
    assert html.count('src="data:image/jpeg;base64,') == len(data.examples) == 10
    for each in data.examples:
        assert f"{100 * each.confidence:.0f} % at exit {each.exit}" in html


def test_what_is_missing_is_left_out(bare: ReportData) -> None:
    page = Page(render_report(bare))
    assert not {"examples", "architecture", "search", "training", "data", "settings"} & set(page.ids)
    assert {"accuracy", "confusion", "limits"} <= set(page.ids)
    assert "The last exit grades" in page.text
    assert "κ" not in page.text


def test_one_report_is_one_sequence_of_bytes(data: ReportData, html: str) -> None:
    assert render_report(data) == html


@pytest.mark.parametrize("name", ["優良", "$5_{x}$", "odd \udcff bytes", "a|b\nc", "x" * 80])
def test_any_class_name_can_be_shown(bare: ReportData, name: str, tmp_path: Path) -> None:
    odd = replace(bare, classes=(name, "B", "C"))
    write_report(tmp_path / "report.html", odd)
    Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    card = model_card(odd)
    card.encode()
    (row,) = [line for line in card.splitlines() if line.startswith(("| " + name[:1], "| \\")) and "recall" not in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_a_single_exit_of_two_classes_makes_a_report() -> None:
    probabilities = np.array([[[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]])
    exits = exit_metrics(probabilities, EvaluationSet(np.array([0, 1, 0]), list("xyz"), "AB", ordinal=True), [0], [10])
    page = Page(render_report(ReportData(title="small", classes=("A", "B"), ordinal=True, exits=exits)))
    assert "66.7 %" in page.text


def test_examples_are_the_surest_mistakes_and_every_class() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2])
    top = [0.9, 0.8, 0.7, 0.95, 0.6, 0.5]
    answers = [1, 1, 0, 0, 1, 2]
    probabilities = np.full((2, 6, 3), 0.01)
    probabilities[1, np.arange(6), answers] = top
    settled = np.ones(6, int)
    images = np.zeros((6, 4, 4, 3), np.uint8)
    found = pick_examples(lambda row: images[row], list("uvwxyz"), labels, probabilities, settled, each=3)
    assert [each.path for each in found if not each.correct] == ["u", "v"]
    assert [each.path for each in found if each.correct] == ["w", "y", "z"]
    assert {each.exit for each in found} == {2}
    assert found[0].confidence == pytest.approx(0.9)


def test_the_card_says_data_figures_and_limits(data: ReportData, bare: ReportData) -> None:
    card = model_card(data)
    for heading in ("## Intended use", "## Data", "## Figures", "## Warnings", "## Limits"):
        assert heading in card
    assert "90 images in 30 groups" in card
    for each in data.exits:
        assert f"| {each.exit} | {100 * each.accuracy.value:.1f} % ({100 * (each.accuracy.low or 0):.1f} to" in card
    assert "Background shortcut" in card
    assert "| train | 50 | 60 | 70 | 180 | 60 |" in card
    assert "## Data" not in model_card(bare)
    for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_preferences_show_what_was_chosen_and_say_what_is_left_out(html: str) -> None:
    assert html.count('class="number chosen"') == 40, "k3 of each of the first 40 decisions"
    text = Page(html).text
    assert "layer1.<kernel>" in text
    assert "10 more decisions" in text


def test_the_short_list_shows_each_network_rung_by_rung(data: ReportData, html: str) -> None:
    def row(network: int, rung: int, loss: float | None) -> dict[str, object]:
        named = {"phase": "shortlist", "rung": rung, "network": network, "epochs": 2 * rung, "loss": loss}
        return {**named, "score": None if network == 3 else 0.8, "macs": 1e6, "chosen": network == 2}

    rows = [row(1, 1, 0.7), row(2, 1, 0.65), row(3, 1, None), row(1, 2, 0.5), row(2, 2, 0.43)]
    page = render_report(replace(data, history=(*data.history, *rows)))
    start = page.index("<h3>Short list</h3>")
    table = page[start : page.index("</table>", start)]
    assert "loss after 2 epochs" in table
    assert "loss after 4 epochs" in table
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:]]
    assert [line[-2:] for line in cells] == [["0.700", "0.500"], ["0.650", "0.430"], ["diverged", "–"]]
    assert [line[1] for line in cells] == ["0.800", "0.800", "–"]
    assert ["chosen" in line[0] for line in cells] == [False, True, False]
    assert "Short list" not in html


def test_exits_of_very_different_cost_have_a_readable_axis(bare: ReportData) -> None:
    first, *rest = bare.exits
    html = render_report(replace(bare, exits=(replace(first, macs=first.macs // 20), *rest)))
    assert "mathdefault" not in html, "a logarithmic axis must not show its own mark-up"


def test_page_and_card_say_which_policy_is_the_default_and_why(html: str, data: ReportData) -> None:
    assert "The model uses “threshold” unless told otherwise: fifty fruit bound what it costs." in html
    assert "Default exit policy: threshold (fifty fruit bound what it costs)." in model_card(data)
    assert "Default exit policy" not in model_card(replace(data, default_reason=""))
