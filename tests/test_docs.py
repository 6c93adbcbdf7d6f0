"""What the documents say can be typed, opened and found."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mango_grader.automl.methods import METHODS
from mango_grader.cli import COMMANDS, main
from mango_grader.models.baselines import BASELINES
from mango_grader.workflow.presets import PRESETS

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/add-a-method.md",
    "docs/evidence.md",
)


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def typed(document: str) -> list[str]:
    """Return every mango-grader line of a document's shell blocks and inline code, comments cut off."""
    blocks = re.findall(r"```sh\n(.*?)```", text(document), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += [" ".join(code.split()) for code in re.findall(r"`(mango-grader [^`]+)`", text(document))]
    return [line for line in lines if line.startswith("mango-grader ")]


@pytest.mark.parametrize("line", [line for document in DOCUMENTS for line in typed(document)])
def test_a_command_line_of_the_documents_is_understood(line: str) -> None:
    _, *words = shlex.split(line, comments=True)
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name == "COMMAND":
            return
        found = command.get_command(context, name)
        assert found is not None, f"no command {name}"
        command = found
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    unknown = {word for word in words if word.startswith("--")} - known
    assert not unknown


def test_readme_names_every_command_method_and_preset() -> None:
    rows = re.findall(r"^\| (`[^|]*)", text("README.md"), re.MULTILINE)
    commands = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert set(COMMANDS) <= commands
    words = set(re.findall(r"`([\w-]+)`", text("README.md")))
    assert not {*METHODS, *PRESETS} - words


def test_the_page_on_comparisons_names_every_baseline() -> None:
    assert not set(BASELINES) - set(re.findall(r"`([\w-]+)`", text("docs/how-to/your-photos.md")))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)", text(document))
    missing = [t for t in targets if "://" not in t and not (ROOT / document).parent.joinpath(t).exists()]
    assert not missing


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_named_files_exist(document: str) -> None:
    named = set(re.findall(r"(?<![\w/.<])((?:\w+/)*\w+\.py)\b", text(document)))
    assert len(named) >= 2
    assert not {n for n in named if not any((top / n).exists() for top in (ROOT, ROOT / "mango_grader"))}
