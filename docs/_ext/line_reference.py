"""Reference tables of a line: the sections of line.toml, the register map and the variables that a PLC needs."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_args, get_type_hints

import tomlkit
from docutils import nodes
from settings_reference import kind_of, markdown, meaning, prose
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mango_grader.line.config import SECTIONS
from mango_grader.line.finders import FINDERS
from mango_grader.line.sinks import SINKS
from mango_grader.line.sinks import modbus as registers
from mango_grader.line.sinks.opcua import VARIABLES
from mango_grader.line.sinks.plc import SLOTS
from mango_grader.ranges import ranges_of
from mango_grader.settings import plain


def line_settings() -> str:
    """Return the reference of line.toml: every section, and every setting in it."""
    parts = []
    for name, kind in SECTIONS.items():
        parts.append(f"## `[{name}]`\n\n{prose(kind)}\n\n{_table(kind)}")
        for field, inner in _nested(kind):
            parts.append(f"### `[[{name}.{field}]]`\n\n{prose(inner)}\n\n{_table(inner)}")
    for section, registry in (("[finder]", FINDERS), ("[[sinks]]", SINKS)):
        parts.append(f"## `{section}`\n\nThe key `kind` says which of these it is.")
        parts += [f'### `kind = "{kind}"`\n\n{prose(of)}\n\n{_table(of)}' for kind, of in registry.items()]
    return "\n\n".join(parts)


def _nested(kind: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """Yield the settings that are tables of their own, with the class of each."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        for part in get_args(hints[field.name]):
            if isinstance(part, type) and is_dataclass(part):
                yield field.name, part


def _table(kind: Any) -> str:
    ranges = ranges_of(kind)
    rows = [
        (
            f"`{field.name}`",
            str(ranges.get(field.name) or kind_of(kind, field.name)),
            _default(field),
            meaning(kind, field.name),
        )
        for field in sorted(fields(kind), key=lambda field: field.name == "name")
    ]
    return markdown(("setting", "what it may be", "default", "meaning"), rows) if rows else "It has no settings.\n"


def _default(field: "Field[Any]") -> str:
    if field.default_factory is not MISSING:
        value = field.default_factory()
    elif field.default is MISSING:
        return "must be given"
    else:
        value = field.default
    value = plain(value) if is_dataclass(value) else value
    if value is None:
        return "none"
    return f"`{tomlkit.item(value).as_string() or '{}'}`"


def register_map() -> str:
    """Return the tables of the holding registers, with their offsets from the base address."""
    status = _registers(registers.STATUS, 0)
    blocks = [
        (registers.ACKNOWLEDGEMENTS, 2, "PLC", "acknowledgement: the sequence number that the PLC has taken"),
        (registers.SEQUENCES, 2, "line", "sequence number of the result in the slot; 0: none"),
        (registers.RESULTS, registers.RESULT_WORDS, "line", "the result, see below"),
    ]
    slots = [
        (f"{start} + {words} × s", str(words), f"{start}..{start + words * SLOTS - 1}", writer, what)
        for start, words, writer, what in blocks
    ]
    return "\n".join([
        "### The line\n",
        markdown(("offset", "registers", "name", "meaning"), status),
        f"### The slots\n\n`s` is the number of the slot, 0..{SLOTS - 1}.\n",
        markdown(("offset in slot s", "registers", "all slots", "written by", "meaning"), slots),
        "### A result\n",
        markdown(("offset in the result", "registers", "name", "meaning"), _registers(registers.RESULT, 0)),
    ])  # fmt: skip


def _registers(values: tuple[registers.Register, ...], start: int) -> list[tuple[str, ...]]:
    return [(str(start + each.offset), str(each.words), f"`{each.name}`", each.meaning) for each in values]


def opcua_variables() -> str:
    """Return the table of the variables of an OPC UA server."""
    rows = [(f"`{each.name}`", each.kind + (f"[{SLOTS}]" if each.slots else ""), each.meaning) for each in VARIABLES]
    return markdown(("variable", "type", "meaning"), rows)


class _Written(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Parse what is written as a part of the page, headings included."""
        return self.parse_text_to_nodes(self.written(), allow_section_headings=True)

    def written(self) -> str:
        """Return the Markdown."""
        raise NotImplementedError


class _LineSettings(_Written):
    def written(self) -> str:
        return line_settings()


class _RegisterMap(_Written):
    def written(self) -> str:
        return register_map()


class _OpcuaVariables(_Written):
    def written(self) -> str:
        return opcua_variables()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("line-settings", _LineSettings)
    app.add_directive("register-map", _RegisterMap)
    app.add_directive("opcua-variables", _OpcuaVariables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
