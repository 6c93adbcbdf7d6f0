"""The documentation site builds without a warning, its notebooks run, and it needs nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

from mango_grader import __all__ as front
from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES
from mango_grader.cli import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"


def test_the_site_builds_without_a_warning_and_is_complete(tmp_path: Path) -> None:
    """One build for all checks; a link that leads nowhere or a notebook that fails is a warning."""
    arguments = ["-q", "-W", "--keep-going", "-n", "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")]
    done = subprocess.run([sys.executable, "-m", "sphinx", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    pages = {
        path.relative_to(tmp_path / "html").with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in (tmp_path / "html").rglob("*.html")
    }
    assert_every_page_is_listed(pages)
    assert_nothing_is_loaded_from_elsewhere(pages)
    assert_the_reference_lists_what_the_code_has(pages)


def assert_every_page_is_listed(pages: dict[str, str]) -> None:
    listed = set(re.findall(r'class="reference internal" href="([^"#]+)\.html', pages["index"]))
    assert len(listed) > 20
    assert not pages.keys() - listed - {"index", "genindex", "py-modindex", "search"}


def assert_nothing_is_loaded_from_elsewhere(pages: dict[str, str]) -> None:
    loaded = r"""(?:<script[^>]*\bsrc|<img[^>]*\bsrc|<link[^>]*\bhref)=["'](?:https?:)?//[^"']+"""
    found = {name: re.findall(loaded, html) for name, html in pages.items()}
    assert not {name: urls for name, urls in found.items() if urls}


def assert_the_reference_lists_what_the_code_has(pages: dict[str, str]) -> None:
    named = {
        "reference/methods": list(METHODS),
        "reference/spaces": list(SPACES),
        "reference/cli": [f"mango-grader-{name}" for name in COMMANDS],
        "reference/python": [f"mango_grader.{name}" for name in front if not name.startswith("__")],
    }
    missing = {page: [name for name in names if f'id="{name}"' not in pages[page]] for page, names in named.items()}
    assert not {page: names for page, names in missing.items() if names}


def test_notebooks_are_kept_without_outputs() -> None:
    kept = list((DOCS / "notebooks").glob("*.ipynb"))  # beside them lies what `make docs` builds, with outputs
    assert kept
    for path in kept:
        assert '"outputs": []' in path.read_text(encoding="utf-8")
        assert not re.search(r'"output_type"|"execution_count": \d', path.read_text(encoding="utf-8"))
