"""What the documents say can be typed, opened and found; test_pages_run.py runs it."""

import re
import shlex

import click
import pytest
from documents import DOCUMENTS, EXCEPTIONS, NOT_TYPED, ROOT, WITH_CODE, blocks, exceptions_of, text

from mango_grader.automl.methods import METHODS
from mango_grader.cli import COMMANDS, main
from mango_grader.models.baselines import BASELINES
from mango_grader.workflow.presets import PRESETS


@pytest.mark.parametrize("page", DOCUMENTS)
def test_every_block_names_its_language(page: str) -> None:
    known = {"sh", "python", "text", "json", "toml"}
    assert not {b.language for b in blocks(page) if b.language not in known and not b.language.startswith("{")}


def test_every_exception_is_needed() -> None:
    lines = [line for page in DOCUMENTS for block in blocks(page) if block.language == "sh" for line in block.lines]
    used = {each for line in lines for each in exceptions_of(line)}
    assert not {each.printed for each in EXCEPTIONS if each not in used}
    assert not {page for page in NOT_TYPED if page not in WITH_CODE}


def typed(document: str) -> list[str]:
    """Return every mango-grader line of a document's shell blocks and inline code, as it is printed."""
    lines = [line for block in blocks(document) if block.language == "sh" for line in block.lines]
    lines += [" ".join(code.split()) for code in re.findall(r"`(mango-grader [^`]+)`", text(document))]
    return [line for line in lines if line.startswith("mango-grader ")]


@pytest.mark.parametrize("line", sorted({line for document in DOCUMENTS for line in typed(document)}))
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


@pytest.mark.parametrize("document", ["docs/explanation/architecture.md", "CONTRIBUTING.md"])
def test_named_files_exist(document: str) -> None:
    named = set(re.findall(r"(?<![\w/.<])((?:\w+/)*\w+\.py)\b", text(document)))
    assert len(named) >= 2
    assert not {n for n in named if not any((top / n).exists() for top in (ROOT, ROOT / "mango_grader"))}


RETIRED = re.compile(
    r"\b(pictures?|taught|untaught|lessons?|rehears\w+|conclude\w*|admission|admits?|allocate_\w+|rightly|regimes?)\b",
    re.IGNORECASE,
)
"""Words that the glossary has others for."""
STILL_READ = {
    "mango_grader/datasets/reading/files.py": "folders of images that users call so",
    "mango_grader/training/ranking.py": "the key of older comparison.json files",
}


def test_retired_words_do_not_come_back() -> None:
    sources = [path.relative_to(ROOT).as_posix() for path in (ROOT / "mango_grader").rglob("*.py")]
    written = [document for document in DOCUMENTS if document != "CHANGELOG.md"]
    found = {name: sorted(set(RETIRED.findall(text(name)))) for name in [*sources, *written] if name not in STILL_READ}
    assert len(found) > 100
    assert not {name: words for name, words in found.items() if words}
    assert all(RETIRED.search(text(name)) for name in STILL_READ)
