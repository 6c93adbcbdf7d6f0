"""Every command and code block of README and documents runs, on tiny fruit."""

import os
import shutil
from pathlib import Path

import pytest
from documents import FIRST_LINE, WITH_CODE, Reader, prepare, python_names, tiny_preset
from filelock import FileLock

from mango_grader.workflow.presets import quick

FROM_NOTHING = {"docs/tutorial.md"}
"""Pages that begin in an empty folder."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fruit, a run and what else the pages take for granted; made once for all test processes. Copy it."""
    base = tmp_path_factory.getbasetemp()
    # Test processes side by side have folders of their own in one; alone, what is above outlives the session.
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "documents"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            made = tmp_path_factory.mktemp("documents")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(made)
                patch.setattr(quick, "QUICK", tiny_preset())
                prepare(made)
            made.rename(shared)
    return shared


@pytest.mark.parametrize("page", WITH_CODE)
def test_every_block_of_a_page_runs(
    page: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    if page in FROM_NOTHING:
        folder.mkdir()
    else:
        shutil.copytree(request.getfixturevalue("prepared"), folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(quick, "QUICK", tiny_preset())
    Reader(folder, () if page in FROM_NOTHING else (FIRST_LINE,), dict(python_names(folder))).read(page)
