"""The page that suspects are decided on, and the CSV that it saves."""

import base64
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import check_fits_a_phone
from tiny import write_fruit

from mango_grader.datasets import read_dataset
from mango_grader.datasets.contradictions import Contradictions
from mango_grader.datasets.reading.reviews import Decision, Review, read_review
from mango_grader.workflow.suspects import Suspects, write_suspects
from mango_grader.workflow.suspects.answers import OutOfFold
from mango_grader.workflow.suspects.ranking import rank_labels

SCRIPT = (files("mango_grader.workflow.suspects") / "review.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def suspects(tmp_path_factory: pytest.TempPathFactory) -> Suspects:
    """Nine fruit, the first of which carries two labels."""
    data = read_dataset(write_fruit(tmp_path_factory.mktemp("few") / "</script><b>", per_class=3))
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 9)
    contradictions = Contradictions(("one", *data.paths[1:3], "one", *data.paths[4:]), ((0, 3),), True)
    ranked = rank_labels(data, contradictions, OutOfFold(np.arange(9), probabilities, "a model"))
    decided = Review("earlier.csv", (Decision(data.paths[8], "yellow", "red", "sure"),))
    return Suspects(data, ranked[:8], 5, "a model", ((0,) * 3,) * 3, ("a <note>",), decided)


def content(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def test_fruit_with_two_labels_come_first_and_then_the_least_credible_label(suspects: Suspects) -> None:
    assert {each.path for each in suspects.ranked[:2]} == {"green/000.png", "red/000.png"}
    assert suspects.ranked[0].same_fruit == ((suspects.ranked[1].path, suspects.ranked[1].label),)
    doubts = [each.judgement.credibility for each in suspects.ranked if each.judgement]
    assert doubts[:2] == sorted(doubts[:2])
    assert doubts[2:] == sorted(doubts[2:])


def test_the_page_holds_its_images_and_fits_a_phone(suspects: Suspects, tmp_path: Path) -> None:
    page = write_suspects(tmp_path / "out", suspects).read_text(encoding="utf-8")
    check_fits_a_phone(page)
    assert not re.search(r"(?:src|href)=[\"']https?:", page)
    assert page.count("</script>") == 2, "no name of a file ends the script"
    shown = content(page)
    assert [each["path"] for each in shown["suspects"]] == [each.path for each in suspects.first]
    image = shown["images"][suspects.first[0].path].removeprefix("data:image/jpeg;base64,")
    assert base64.b64decode(image).startswith(b"\xff\xd8")


def test_the_csv_to_fill_in_keeps_earlier_decisions(suspects: Suspects, tmp_path: Path) -> None:
    write_suspects(tmp_path / "out", suspects)
    review = read_review(tmp_path / "out" / "reviewed.csv")
    assert review.decisions[0] == Decision(suspects.dataset.paths[8], "yellow", "red", "sure")
    assert [each.path for each in review.decisions[1:]] == [each.path for each in suspects.first]
    assert not any(each.reviewed for each in review.decisions[1:])


def node(code: str, given: object) -> Any:
    """Run the page's script and then `code`, which finds `given`, and return what that returns."""
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    program = f"{SCRIPT}\nconst given = {json.dumps(given)};\nconsole.log(JSON.stringify((() => {{ {code} }})()))"
    done = subprocess.run(["node", "-"], input=program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_the_page_saves_is_read_as_a_review(suspects: Suspects, tmp_path: Path) -> None:
    shown = content(write_suspects(tmp_path / "out", suspects).read_text(encoding="utf-8"))
    first, second, third = (each.path for each in suspects.first[:3])
    decided = {
        first: {"reviewed": "red", "note": 'a "quoted", long\nnote'},
        second: {"reviewed": "unusable", "note": ""},
        third: {"reviewed": "", "note": "not sure yet"},
    }
    text = node("return reviewCsv(given.columns, given.rows, given.decided);", {**shown, "decided": decided})
    (tmp_path / "reviewed.csv").write_text(text, encoding="utf-8")
    found = {each.path: each for each in read_review(tmp_path / "reviewed.csv").decisions}
    assert (found[first].reviewed, found[first].note) == ("red", 'a "quoted", long note')
    assert (found[second].reviewed, found[third].reviewed, found[third].note) == ("unusable", "", "not sure yet")
    assert found[suspects.dataset.paths[8]].reviewed == "red", "earlier decisions stay"
    assert len(found) == 6


@pytest.mark.parametrize(
    ("key", "decides"),
    [
        ("k", "red"),
        ("K", "red"),
        ("1", "green"),
        ("3", "yellow"),
        ("9", None),
        ("u", "unsure"),
        ("x", "unusable"),
        ("0", ""),
        ("q", None),
    ],
)
def test_keys_decide(key: str, decides: str | None) -> None:
    words = {"unsure": "unsure", "unusable": "unusable"}
    given = [key, "red", ["green", "red", "yellow"], words]
    assert node("return keyDecision(...given) ?? null;", given) == decides
