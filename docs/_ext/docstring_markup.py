"""Docstrings and help texts are written for editors and terminals; this makes valid reStructuredText of them."""

import re
import textwrap

from sphinx.application import Sphinx

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def fences_as_directives(text: str) -> str:
    """Return reStructuredText in which every fenced block of `text` is a code-block directive."""

    def directive(block: re.Match[str]) -> str:
        indent, language, code = block.groups()
        body = textwrap.indent(textwrap.dedent(code), f"{indent}    ")
        return f"{indent}.. code-block:: {language or 'text'}\n\n{body}"

    return _FENCED.sub(directive, text)


def _docstring(app: Sphinx, what: str, name: str, documented: object, options: object, lines: list[str]) -> None:
    lines[:] = fences_as_directives("\n".join(lines)).splitlines()


def _help(app: Sphinx, context: object, lines: list[str]) -> None:
    """Escape what a terminal shows as it is: the stars of file patterns."""
    lines[:] = [line.replace("*", r"\*") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Convert each docstring before napoleon reads it, and each help text before it is parsed."""
    app.connect("autodoc-process-docstring", _docstring, priority=400)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", _help)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
