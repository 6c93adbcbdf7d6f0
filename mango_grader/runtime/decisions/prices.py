"""Prices of right and wrong answers, from a CSV or JSON file or for grades in order."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mango_grader.errors import BundleError, UsageError
from mango_grader.runtime.bundle.manifest import LARGEST_PRICE, Prices
from mango_grader.runtime.bundle.strict_json import parse_json
from mango_grader.text import listed, one_line

REVIEW = "review"
"""Name of the row, column or member that prices a person's look; a class of that name comes first."""
_LARGEST_FILE = 1 << 24  # bytes

_Table = Mapping[str, Mapping[str, Any]]


def read_prices(path: str, classes: Sequence[str]) -> Prices:
    """Read what each answer costs, in any one unit of money.

    A CSV has a row for each true class and a column for each answer, with the classes' names in the first row and
    column, in any order. A column `review` prices a person's look by the true class, a row `review` with one number
    prices it for all. JSON has the same as objects: {"A": {"A": 0, "B": 5}, "B": {"A": 2, "B": 0}, "review": 0.3},
    where `review` is one number or an object with one for each true class. Prices may be negative: profits.

    Args:
        path: of the file: .csv or .json. A CSV may also have semicolons and decimal commas, or tabs.
        classes: of the model, in its order.

    Raises:
        UsageError: if the file cannot be read, lacks a class, names another, or holds anything but numbers.

    Example:
        ```python
        from pathlib import Path

        from mango_grader.runtime.decisions.prices import read_prices

        Path("prices.csv").write_text("true,A,B,review\\nA,0,5,0.3\\nB,2,0,0.3\\n")
        assert read_prices("prices.csv", ("A", "B")).answers == ((0.0, 5.0), (2.0, 0.0))
        ```
    """
    data = _read(path)
    try:
        rows, review = (
            _from_json(data, path, classes) if Path(path).suffix.lower() == ".json" else _from_csv(data, classes)
        )
        _check_names(rows, classes, "row")
        for name, row in rows.items():
            _check_names(row, classes, f"row {one_line(name)}: column")
        answers = tuple(tuple(_price(rows[true][name], true, name) for name in classes) for true in classes)
        if review is None:
            return Prices(answers)
        _check_names(review, classes, "review")
        return Prices(answers, tuple(_price(review[true], true, REVIEW) for true in classes))
    except BundleError as error:
        raise UsageError(str(error)) from error
    except ValueError as error:
        raise UsageError(f"{one_line(path)}: {error}") from error


def ordinal_prices(count: int, review: float | None = None) -> Prices:
    """Return prices for grades in order: 1 for each grade that an answer is off, 0 for the correct one.

    Args:
        count: number of classes, 2 or more.
        review: price of a person's look in the same unit; None where nobody can be asked.
    """
    answers = tuple(tuple(float(abs(true - answer)) for answer in range(count)) for true in range(count))
    return Prices(answers, None if review is None else (review,) * count)


def to_price(text: str) -> float:
    """Return a price, a finite number of at most 1e12 either way; raise `ValueError` for any other text."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if "_" in text or not abs(value) <= LARGEST_PRICE:
        raise ValueError(f"{text[:40]!r} is no number from {-LARGEST_PRICE:g} to {LARGEST_PRICE:g}")
    return value


def _read(path: str) -> bytes:
    if Path(path).suffix.lower() not in {".csv", ".json"}:
        raise UsageError(
            f"cost:{one_line(path[:80])}: prices are read from a .csv or .json file, or write cost:ordinal"
        )
    try:
        if Path(path).stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path} is too large for a file of prices")
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"prices {one_line(path)}: {str(error.strerror).lower()}") from error


def _from_json(data: bytes, path: str, classes: Sequence[str]) -> tuple[_Table, Mapping[str, Any] | None]:
    table = parse_json(data, path).table()
    review = None if REVIEW in classes else table.pop(REVIEW, None)
    rows = {true: {name: one.value for name, one in row.table().items()} for true, row in table.items()}
    if review is None:
        return rows, None
    if isinstance(review.value, dict):
        return rows, review.value
    return rows, dict.fromkeys(classes, review.value)


def _from_csv(data: bytes, classes: Sequence[str]) -> tuple[_Table, Mapping[str, Any] | None]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8; save it as CSV UTF-8") from None
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = [
        [cell.strip() for cell in line]
        for line in csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    ]
    lines = [line for line in lines if any(line)]
    if not lines:
        raise ValueError("it is empty")
    if delimiter == ";":
        lines[1:] = [[line[0], *(cell.replace(",", ".") for cell in line[1:])] for line in lines[1:]]
    titles = lines[0][1:]
    if twice := [name for name in dict.fromkeys(titles) if titles.count(name) > 1]:
        raise ValueError(f"it has two columns {one_line(listed(twice))}")
    rows: dict[str, dict[str, Any]] = {}
    for true, *cells in lines[1:]:
        if true in rows:
            raise ValueError(f"it has two rows {one_line(true)}")
        if any(cells[len(titles) :]):
            raise ValueError(f"row {one_line(true)} has more cells than there are columns")
        rows[true] = dict(zip(titles, cells, strict=False))
    return rows, None if REVIEW in classes else _take_review(rows, classes)


def _take_review(rows: dict[str, dict[str, Any]], classes: Sequence[str]) -> Mapping[str, Any] | None:
    """Take the prices of a person's look out of the rows of a CSV, which has them as a column or as a row."""
    row = rows.pop(REVIEW, None)
    by_class = {true: cells.pop(REVIEW) for true, cells in rows.items() if REVIEW in cells}
    if row is None:
        return by_class or None
    numbers = [cell for cell in row.values() if cell]
    if by_class or len(numbers) != 1:
        raise ValueError("give review either as a column, or as a row with one number")
    return dict.fromkeys(classes, numbers[0])


def _check_names(found: Mapping[str, Any], classes: Sequence[str], what: str) -> None:
    if unknown := [name for name in found if name not in classes]:
        raise ValueError(
            f"{what} {one_line(listed(unknown, 3))} is no class of the model, which has {one_line(listed(classes, 10))}"
        )
    if missing := [name for name in classes if name not in found]:
        raise ValueError(f"{what} {one_line(listed(missing, 3))} is missing")


def _price(value: Any, true: str, column: str) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return to_price(str(value))
        raise ValueError(f"{str(value)[:40]!r} is no number")
    except ValueError as error:
        raise ValueError(f"row {one_line(true)}, column {one_line(column)}: {error}") from None
