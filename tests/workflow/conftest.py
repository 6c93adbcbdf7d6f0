"""Tiny images for tiny runs."""

from pathlib import Path

import pytest
from tiny import write_fruit


@pytest.fixture(scope="session")
def fruit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fruit(tmp_path_factory.mktemp("fruit") / "photos")
