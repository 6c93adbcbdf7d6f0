"""The reference of a line says all there is: every setting, every register, every variable; and its TOML is valid."""

import re
import tomllib
from dataclasses import fields

import pytest
from documents import blocks, text
from line_reference import line_settings, opcua_variables, register_map

from mango_grader.line import SINKS, LineConfig
from mango_grader.line.config import SECTIONS
from mango_grader.line.finders import FINDERS
from mango_grader.line.outlets import OutletRule
from mango_grader.line.sinks import modbus
from mango_grader.line.sinks.opcua import VARIABLES

PAGE = "docs/how-to/conveyor.md"
SMALL = {
    "camera": {"width": 640, "height": 480, "mm_per_px": 1.0},
    "belt": {"direction": "right", "decision_line": 500},
    "finder": {"kind": "whole-frame"},
}


def test_every_setting_has_a_row_with_its_meaning() -> None:
    tables = line_settings()
    for kind in (*SECTIONS.values(), *FINDERS.values(), *SINKS.values(), OutletRule):
        for field in fields(kind):
            rows = re.findall(rf"^\| `{field.name}` \| ([^|]|\\\|)+ \| [^|]+ \| (.+) \|$", tables, re.MULTILINE)
            assert rows, f"{kind.__name__}.{field.name}"
            assert all(meaning for _, meaning in rows), f"{kind.__name__}.{field.name}"
    for name in (*FINDERS, *SINKS):
        assert f'kind = "{name}"' in tables


def test_every_register_and_variable_has_a_row() -> None:
    registers = register_map()
    for register in (*modbus.STATUS, *modbus.RESULT):
        assert f"| {register.offset} | {register.words} | `{register.name}` | {register.meaning} |" in registers
    for start in (modbus.ACKNOWLEDGEMENTS, modbus.SEQUENCES, modbus.RESULTS):
        assert f"| {start} + " in registers
    assert all(f"| `{variable.name}` | {variable.kind}" in opcua_variables() for variable in VARIABLES)


def test_the_page_names_the_number_of_registers() -> None:
    assert f"{modbus.MAP_WORDS} holding registers" in text(PAGE)
    assert f"offer {modbus.MAP_WORDS} registers" in text(PAGE)


@pytest.mark.parametrize(
    "toml", [block.text for block in blocks("docs/how-to/conveyor.md") if block.language == "toml"]
)
def test_toml_of_the_page_is_read_by_the_line(toml: str) -> None:
    tables = tomllib.loads(toml)
    config = LineConfig.from_dict({**SMALL, **tables})
    kept = config.to_dict()
    for name, table in tables.items():
        for given, found in zip(table, kept[name], strict=True) if isinstance(table, list) else [(table, kept[name])]:
            assert given.items() <= found.items()
