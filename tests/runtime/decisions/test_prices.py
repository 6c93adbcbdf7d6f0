from pathlib import Path

import pytest

from mango_grader.errors import UsageError
from mango_grader.runtime import Prices
from mango_grader.runtime.decisions.prices import ordinal_prices, read_prices

CLASSES = ("A", "B", "C")
ANSWERS = ((0.0, 2.0, 5.5), (3.0, 0.0, 2.0), (12.0, 6.0, -1.0))
CSV = "true,A,B,C\nA,0,2,5.5\nB,3,0,2\nC,12,6,-1\n"
JSON = '{"A": {"A": 0, "B": 2, "C": 5.5}, "B": {"A": 3, "B": 0, "C": 2}, "C": {"A": 12, "B": 6, "C": -1}}'


def read(folder: Path, text: str | bytes, name: str = "prices.csv", classes: tuple[str, ...] = CLASSES) -> Prices:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_prices(str(path), classes)


@pytest.mark.parametrize(
    "text",
    [
        CSV,
        CSV.replace("\n", "\r\n").replace("true", ""),
        "\ufeff" + CSV,
        "true,C,A,B\nC,-1,12,6\nA,5.5,0,2\nB,2,3,0\n",
        "true;A;B;C\nA;0;2;5,5\nB;3;0;2\nC;12;6;-1\n",
        "true\tA\tB\tC\nA\t0\t2\t5.5\nB\t3\t0\t2\nC\t12\t6\t-1\n\n\t\n",
        ' true , A , B , C \n A , 0 , 2 , 5.5 \n "B" , 3 , 0 , 2 \n C , 12 , 6 , -1 \n',
    ],
)
def test_a_csv_is_read_however_a_spreadsheet_writes_it(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == Prices(ANSWERS)


def test_json_says_the_same(tmp_path: Path) -> None:
    assert read(tmp_path, JSON, "prices.JSON") == Prices(ANSWERS)


@pytest.mark.parametrize(
    ("name", "text", "review"),
    [
        ("p.csv", CSV + "review,0.3\n", (0.3, 0.3, 0.3)),
        ("p.csv", CSV + "review,,,0.3\n", (0.3, 0.3, 0.3)),
        ("p.csv", "true,A,review,B,C\nA,0,0.1,2,5.5\nB,3,0.2,0,2\nC,12,-4,6,-1\n", (0.1, 0.2, -4.0)),
        ("p.json", JSON[:-1] + ', "review": 0.3}', (0.3, 0.3, 0.3)),
        ("p.json", JSON[:-1] + ', "review": {"C": -4, "A": 0.1, "B": 0.2}}', (0.1, 0.2, -4.0)),
    ],
)
def test_a_look_has_one_price_or_one_by_class(tmp_path: Path, name: str, text: str, review: tuple[float, ...]) -> None:
    assert read(tmp_path, text, name) == Prices(ANSWERS, review)


def test_a_class_called_review_is_a_class(tmp_path: Path) -> None:
    text = "true,A,review\nA,0,1\nreview,2,0\n"
    assert read(tmp_path, text, classes=("A", "review")) == Prices(((0.0, 1.0), (2.0, 0.0)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        (CSV.replace("C,12", "D,12"), "row D is no class of the model, which has A, B, C"),
        (CSV.replace("A,B,C", "A,B,D"), "row A: column D is no class"),
        (CSV.replace("A,B,C", "A,B,B"), "two columns B"),
        (CSV.replace("C,12,6,-1\n", ""), "row C is missing"),
        (CSV.replace("C,12,6,-1\n", "B,1,1,1\n"), "two rows B"),
        ("true,A,B\nA,0,2\nB,3,0\nC,1,1\n", "row A: column C is missing"),
        (CSV.replace("6,-1", "6"), "row C: column C is missing"),
        (CSV.replace("6,-1", "6,-1,9"), "more cells than there are columns"),
        (CSV.replace("6,-1", "6,"), "row C, column C: '' is no number"),
        (CSV.replace("5.5", "five"), "row A, column C: 'five' is no number"),
        (CSV.replace("5.5", "nan"), "row A, column C"),
        (CSV.replace("5.5", "inf"), "row A, column C"),
        (CSV.replace("5.5", "1e13"), "row A, column C"),
        (CSV.replace("5.5", "1_0"), "row A, column C"),
        (CSV + "review,1,2,3\n", "row with one number"),
        (CSV + "review,,,\n", "row with one number"),
        (CSV + "review,dear\n", "column review: 'dear'"),
        ("true,A,B,C,review\nA,0,2,5.5,1\nB,3,0,2,\nC,12,6,-1,1\n", "row B, column review"),
        (b"true,A,\xff\n", "save it as CSV UTF-8"),
    ],
)
def test_what_is_wrong_in_a_csv_is_said_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)
    assert "prices.csv" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must be an object"),
        ("{", "cannot be read"),
        (JSON.replace("5.5", "NaN"), "NaN"),
        (JSON.replace("5.5", "true"), "row A, column C"),
        (JSON.replace("5.5", "null"), "row A, column C"),
        (JSON.replace("5.5", "[1]"), "row A, column C"),
        (JSON.replace('"C": 5.5', '"B": 5.5'), "repeats"),
        (JSON[:-1] + ', "review": {"A": 1}}', "review B, C is missing"),
        (JSON[:-1] + ', "review": [1, 1, 1]}', "column review"),
        (JSON[:-1] + ', "D": {}}', "row D is no class"),
    ],
)
def test_what_is_wrong_in_json_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text, "prices.json")
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "message"), [("none.csv", "no such file"), ("prices.xlsx", r"\.csv or \.json")])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_prices(str(tmp_path / name), CLASSES)


def test_ordinal_prices_are_the_grades_between() -> None:
    assert ordinal_prices(3) == Prices(((0.0, 1.0, 2.0), (1.0, 0.0, 1.0), (2.0, 1.0, 0.0)))
    assert ordinal_prices(2, 0.3).review == (0.3, 0.3)
