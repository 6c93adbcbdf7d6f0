"""`mango-grader methods` and `spaces`: what they print is what `search` accepts."""

import json
import re

import pytest
from commands import call

from mango_grader import SearchOptions
from mango_grader.automl.methods import METHODS
from mango_grader.automl.spaces import SPACES


def test_methods_print_the_matrix_papers_and_settings() -> None:
    printed = call("methods", "--preset", "paper")
    assert printed.exit_code == 0
    assert all(method.paper in " ".join(printed.output.split()) for method in METHODS.values())
    assert all(name in printed.output for name in [*METHODS, *SPACES])
    assert "method.controller.lr=0.1" in printed.output
    assert re.search(r"dag .*default", printed.output)


def test_spaces_print_their_size_and_settings() -> None:
    printed = call("spaces", "--preset", "paper")
    assert printed.exit_code == 0
    assert all(name in printed.output for name in SPACES)
    assert "every method" in printed.output
    assert "space.kernels=[3,7,11,15,19,23,27,31,35,39]" in printed.output


def test_at_most_eight_pairs_refuse_and_each_says_why() -> None:
    rows = json.loads(call("methods", "--json").output)["methods"]
    refusals = [why for row in rows for why in row["spaces"].values() if why]
    assert len(refusals) <= 8
    assert all(why.strip() == why and len(why) > 10 for why in refusals)
    assert {row["name"]: row["spaces"][row["default_space"]] for row in rows} == dict.fromkeys(METHODS)
    assert all(row["home"] == row["default_space"] for row in rows), "scripts may read its former name"


def test_what_is_printed_is_what_search_starts_with() -> None:
    search = SearchOptions(data=".", method="enas").config().search
    assert search is not None
    for printed in (call("methods"), call("spaces")):
        assert printed.exit_code == 0
        assert "(preset quick)" in printed.output
        assert "(preset paper)" not in printed.output
    rows = {row["name"]: row["settings"] for row in json.loads(call("methods", "--json").output)["methods"]}
    assert rows["enas"]["method.controller.lr"] == search.method.settings.controller.lr


def test_beside_each_setting_stands_what_it_may_be() -> None:
    methods, spaces = call("methods").output, call("spaces").output
    assert re.search(r"method\.controller\.lr=0\.01 +above 0\n", methods)
    assert re.search(r"method\.schedule=two_phases +two_phases \| alternating\n", methods)
    assert re.search(r"space\.scales=3 +1\.\.3\n", spaces)
    assert re.search(r"space\.exits=\[3,6,12\] +each 1\.\.1000\n", spaces)
    for command in ("methods", "spaces"):
        for row in json.loads(call(command, "--json").output)[command]:
            silent = row["settings"].keys() - row["allowed"].keys()
            assert silent <= {"space.operations"}, "only lists of words have no range"


def test_the_settings_that_all_methods_share_are_printed_and_can_be_set() -> None:
    printed = call("methods").output
    assert re.search(r"train\.epochs=60 +0 or more\n", printed)
    assert re.search(r"augment\.rotate=30\.0 +0\.\.180\n", printed)
    assert re.search(r"search\.cutout_probability=null +0\.\.1 \| null\n", printed)
    common = json.loads(call("methods", "--json").output)["common"]["settings"]
    given = [f"{name}={json.dumps(value)}" for name, value in common.items()]
    options = {"data": ".", "teacher": "resnet18"}
    assert SearchOptions(**options, settings=given).config() == SearchOptions(**options).config()


def test_a_preset_that_is_not_there_is_refused() -> None:
    refused = call("spaces", "--preset", "slow")
    assert refused.exit_code == 2
    assert "'quick', 'standard', 'paper'" in refused.output


@pytest.mark.parametrize("preset", ["paper", "quick", "standard"])
def test_every_printed_setting_can_be_set(preset: str) -> None:
    methods = json.loads(call("methods", "--json", "--preset", preset).output)["methods"]
    for row in methods:
        given = [f"{name}={json.dumps(value)}" for name, value in row["settings"].items()]
        plain = SearchOptions(data=".", preset=preset, method=row["name"])
        config = SearchOptions(data=".", preset=preset, method=row["name"], settings=given).config()
        assert config == plain.config()
    spaces = json.loads(call("spaces", "--json", "--preset", preset).output)["spaces"]
    for row in spaces:
        given = [
            f"{name}={json.dumps(value)}"
            for name, value in row["settings"].items()
            if name not in ("space.height", "space.width")  # the data's business
        ]
        options = {"data": ".", "preset": preset, "method": "random", "space": row["name"]}
        assert SearchOptions(**options, settings=given).config() == SearchOptions(**options).config()


def test_a_setting_that_is_not_there_is_one_line() -> None:
    failed = call("search", "--data", ".", "--out", "x", "--set", "method.nonsense=1")
    assert failed.exit_code == 2
    assert "no such setting; there are" in failed.output
