"""Docstrings and help texts are written for editors and terminals; this makes valid reStructuredText of them."""

import re
import textwrap

from sphinx.application import Sphinx

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")
_RANGED = re.compile(r"(?:~?typing\.)?Annotated\[([~.\w]+), ~?[.\w]*Range\([^)]*\)\]")
_FUNCTION = re.compile(r"<function (\w+)(?: at 0x\w+)?>")


def fences_as_directives(text: str) -> str:
    """Return reStructuredText in which every fenced block of `text` is a code-block directive."""

    def directive(block: re.Match[str]) -> str:
        indent, language, code = block.groups()
        body = textwrap.indent(textwrap.dedent(code), f"{indent}    ")
        return f"{indent}.. code-block:: {language or 'text'}\n\n{body}"

    return _FENCED.sub(directive, text)


def _docstring(app: Sphinx, what: str, name: str, documented: object, options: object, lines: list[str]) -> None:
    lines[:] = fences_as_directives("\n".join(lines)).splitlines()
    if lines and what in {"attribute", "property"}:
        lines[0] = f": {lines[0]}"  # Else napoleon takes all before a colon for a type.


def _signature(
    app: Sphinx, what: str, name: str, documented: object, options: object, arguments: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write types without their ranges, which bullets say in words, and functions by their names."""
    if arguments is not None:
        arguments = _FUNCTION.sub(r"\1", _RANGED.sub(r"\1", arguments))
    return arguments, returns


def _help(app: Sphinx, context: object, lines: list[str]) -> None:
    """Escape what a terminal shows as it is: the stars of file patterns, and the hyphens of options."""
    for index, line in enumerate(lines):
        if not line.lstrip().startswith((".. ", ":")):
            lines[index] = _OPTION.sub(r"``\g<0>``", line.replace("*", r"\*"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Convert each docstring before napoleon reads it, and each help text before it is parsed."""
    app.connect("autodoc-process-docstring", _docstring, priority=400)
    app.connect("autodoc-process-signature", _signature)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", _help)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
