"""What every test may use; its place puts tests/ on the path, so that helpers such as bundles.py can be imported."""

import os
import tempfile
from pathlib import Path

import pytest
from bundles import make_bundle

# Test processes run side by side: one thread each, for them and for the commands that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What commands keep for the next time is kept for the next test alone, not for this user.
_CACHE = tempfile.TemporaryDirectory(prefix="mango-cache-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small .mango model that knows green, yellow and red; shared, so never write to it."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "colours.mango")
