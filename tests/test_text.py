import pytest

from mango_grader.text import is_printable, one_line, printable_path


def test_printable_path_tells_undecodable_names_apart() -> None:
    assert printable_path("caf\udce9") == "caf\\xe9"
    assert printable_path("caf\udce8") != printable_path("caf\udce9")
    assert printable_path("芒果 é") == "芒果 é"


def test_one_line_shows_no_control_characters() -> None:
    assert one_line("a\nb\x1b[31m\tc\u202e芒") == "a\\nb\\x1b[31m\\tc\\u202e芒"


@pytest.mark.parametrize(
    ("text", "expected"), [("A", True), ("sehr gut", True), (" ", False), ("a\nb", False), ("\ud800", False)]
)
def test_names_of_classes_must_be_visible_on_one_line(text: str, expected: bool) -> None:
    assert is_printable(text) is expected
