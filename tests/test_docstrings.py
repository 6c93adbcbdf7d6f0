"""Public docstrings are complete and true: the reference of the site is generated from them."""

import doctest
import importlib
import pkgutil
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from docstrings import defined, documented_objects, exports, form, modules, own_docstring, problems, python_blocks
from footage import footage, write_video
from photos import write_folders, write_photo

import mango_grader

# Layers, or packages and modules of them ("automl.methods"), whose docstrings are complete.
LAYERS_CHECKED: tuple[str, ...] = (
    "automl",
    *("errors", "files", "text", "ranges", "settings", "progress", "lazy", "cores"),
    *("runtime", "synthetic", "line"),
    "datasets",
    "models",
    "training",
    "export",
    "report",
    "workflow",
    "cli",
)


@pytest.mark.parametrize("layer", LAYERS_CHECKED)
def test_every_public_name_has_its_bullets(layer: str) -> None:
    exported = exports(layer)
    own = {found: f"{module.__name__}.{name}" for module in modules(layer) for name, found in defined(module)}
    outside = {found: f"{found.__module__}.{found.__qualname__}" for found in exported - own.keys()}  # type: ignore[attr-defined]
    assert own, f"there is no {layer}"
    found = [
        f"{name}: {problem}"
        for each, name in (own | outside).items()
        if each in own or each.__module__.startswith("mango_grader")
        for problem in problems(each, exported=each in exported)
    ]
    assert not found, "\n".join(found)


def examples() -> list[str]:
    """Return the modules that hold an example."""
    top = Path(mango_grader.__file__).parent
    named = [found.name for found in pkgutil.walk_packages(mango_grader.__path__, "mango_grader.")]
    files = {name: top.joinpath(*name.split(".")[1:]) for name in named}
    texts = {
        name: (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        for name, path in files.items()
    }
    return [name for name, text in texts.items() if ">>> " in text or "```python" in text]


LINE_TOML = """
camera = { width = 64, height = 48 }
belt = { direction = "right", decision_line = 40, motion = "speed", speed = 100.0 }
finder = { kind = "whole-frame" }
"""


@pytest.fixture
def examples_folder(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where examples find mangos/ with groups.csv, belt/, belt.avi, line.toml, mango.jpg and model.mango."""
    graded = write_folders(tmp_path / "mangos", {"A": 4, "B": 4, "C": 4})
    names = sorted(path.relative_to(graded).as_posix() for path in graded.rglob("*.png"))
    (graded / "groups.csv").write_text("image_id,fruit\n" + "".join(f"{name},{name[:-5]}\n" for name in names))
    write_folders(tmp_path, {"belt": 3}, seed=100)
    write_video(tmp_path / "belt.avi", footage(3))
    (tmp_path / "line.toml").write_text(LINE_TOML, encoding="utf-8")
    write_photo(tmp_path / "mango.jpg", 200)
    shutil.copy(bundle, tmp_path / "model.mango")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("examples_folder")
@pytest.mark.parametrize("module", examples())
def test_examples_in_docstrings_run(module: str) -> None:
    found = importlib.import_module(module)
    result = doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    blocks = [code for each in documented_objects(found) for code in python_blocks(own_docstring(each))]
    for code in blocks:
        exec(code, vars(found).copy())
    assert not result.failed
    assert result.attempted or blocks, "an example that nobody runs"


@dataclass(frozen=True)
class Complete:
    """A crop of a frame.

    Attributes:
        x: left edge, in pixels.
    """

    x: int
    _hidden: int = 0


@dataclass(frozen=True)
class Heir(Complete):
    """A crop with a width.

    Attributes:
        width: in pixels, 1 or more.
    """

    width: int = 1


@dataclass(frozen=True)
class Lacking:
    """A crop: x is its left edge.

    Attributes:
        height: in pixels.
    """

    x: int


class Learner:
    """Learns a line.

    Args:
        rate: of learning, above 0.

    Attributes:
        slope: of the line.
    """

    def __init__(self, rate: float) -> None:
        self.slope = rate

    def learn(self, x: float, y: float) -> None:
        """Take a step.

        Args:
            x: where.
        """


class Other(Learner):
    """Learns otherwise."""


def scaled(value: float, by: float = 1.0) -> float:
    """Return `value` * `by`."""
    return value * by


def crop(path: str, *names: str) -> None:
    """Crop an image.

    Args:
        path: of an image.
        *names: of crops.
        size: of what is not there.
    """


def crowded(path: str) -> None:
    """Say two things that
    take two lines.

    Args:
        path:
    """


def broken(path: str) -> None:
    """Use *markup that does not end."""


@pytest.mark.parametrize(
    ("documented", "exported", "expected"),
    [
        (Complete, True, []),
        (Heir, True, []),
        (Other, True, []),
        (Lacking, False, ["Lacking: no bullet for x", "Lacking: a bullet for height, which does not exist"]),
        (Learner, False, ["Learner.learn: no bullet for y"]),
        (scaled, False, ["no bullet for value", "no bullet for by"]),
        (broken, True, ["no bullet for path", "markup: Inline emphasis start-string without end-string."]),
        (crop, False, ["a bullet for size, which does not exist"]),
        (crowded, False, ["path: an empty bullet", "the summary takes more than one line"]),
    ],
)
def test_the_check_sees_what_is_missing(documented: object, exported: bool, expected: list[str]) -> None:
    found = [
        problem.splitlines()[-1] if "markup" in problem else problem
        for problem in problems(documented, exported=exported)
    ]
    assert [problem.replace("<string>:3: (WARNING/2) ", "") for problem in found] == expected


def test_a_fenced_example_is_found_and_rendered() -> None:
    def shown() -> None:
        """Show an example.

        Example:
            ```python
            assert 1 + 1 == 2
            ```
        """

    assert python_blocks(own_docstring(shown)) == ["assert 1 + 1 == 2\n"]
    assert not form(shown)
