"""A bundle that a test may damage, and a watch over what reading it takes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import make_bundle
from memory import forget_peak, peak_mib

MOST_MEMORY = 400
"""Mebibytes beside what the tests have already."""
PATIENCE = 30.0
"""Seconds; the machine may be busy."""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "own.mango")


@pytest.fixture
def harmless() -> Iterator[None]:
    """Fail a test that takes long or much memory: no attack gets what it asks for."""
    forget_peak()
    before, start = peak_mib(), time.monotonic()
    yield
    assert peak_mib() - before < MOST_MEMORY
    assert time.monotonic() - start < PATIENCE
