"""draft"""

from typing import Any


def model_card(*a: Any) -> str:
    return "card"


def report_run(*a: Any) -> None:
    pass
