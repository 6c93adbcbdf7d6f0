import json
from pathlib import Path

import pytest
from bundles import CLASSES, change_bundle, make_bundle, solid
from commands import call
from PIL import Image


def test_info_prints_the_manifest(bundle: Path) -> None:
    done = call("info", bundle)
    assert done.exit_code == 0
    for shown in (
        "green, yellow, red",
        "12 × 16 pixels",
        "fp32, int8",
        "threshold confidence (0.600)",
        "by hand",
        "accuracy 1",
    ):
        assert shown in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].split() == ["2", "last", "400", "40", "1.500"]


def test_info_as_json_is_the_whole_manifest(bundle: Path) -> None:
    values = json.loads(call("info", bundle, "--json").stdout)
    assert values["classes"] == ["green", "yellow", "red"]
    assert values["exits"][1] == {"name": "last", "macs": 400, "params": 40, "temperature": 1.5}
    assert len(values["hashes"]) == 17
    assert len(values["originals"]) == 4
    assert len(values["digest"]) == 64


def bundle_with(path: Path, provenance: dict[str, object]) -> Path:
    def change(parts: dict[str, bytes]) -> None:
        parts["manifest.json"] = json.dumps(json.loads(parts["manifest.json"]) | {"provenance": provenance}).encode()

    return change_bundle(make_bundle(path), change)


def test_info_says_what_measures_of_agreement_mean(tmp_path: Path) -> None:
    provenance: dict[str, object] = {
        "test_accuracy": [0.5, 0.625],
        "parity": {"images": 6, "staged": [3e-8, 1.2e-7], "full": [3e-8, 1e-7], "staged_to_full": [0.0, 0.0]},
        "int8": {"images": 84, "same_answer": [1.0, 0.9881], "largest_change": [0.004, 0.012]},
    }
    bundle = bundle_with(tmp_path / "m.mango", provenance)
    printed = call("info", bundle).stdout
    for says in (
        "the exported file agrees with the trained network to 1e-07 in probability on 6 images (parity)",
        "the same grade for 100.0 %, 98.8 % of 84 images (same_answer), exit by exit",
        "probabilities differ by up to 0.012",
        "test accuracy",
        "50.0 %, 62.5 %, exit by exit",
        "work per image (multiply-adds)",
    ):
        assert says in printed, says
    assert json.loads(call("info", bundle, "--json").stdout)["provenance"] == provenance, "names for programs stay"


@pytest.mark.parametrize("odd", [None, "yes", ["yes"], {"images": "many", "staged": []}, {"same_answer": [None]}])
def test_info_prints_whatever_a_bundle_tells_of_itself(tmp_path: Path, odd: object) -> None:
    bundle = bundle_with(tmp_path / "m.mango", dict.fromkeys(("test_accuracy", "parity", "int8"), odd))
    printed = call("info", bundle)
    assert printed.exit_code == 0
    assert "parity" in printed.stdout


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_missing_or_damaged_model_is_one_line(tmp_path: Path, command: str) -> None:
    missing = call(command, tmp_path / "missing.mango")
    assert (missing.exit_code, missing.stderr) == (2, f"Error: no such model: {tmp_path / 'missing.mango'}\n")
    (tmp_path / "text.mango").write_text("no model")
    damaged = call(command, tmp_path / "text.mango")
    assert damaged.exit_code == 1
    assert damaged.stderr.count("\n") == 1


def test_every_command_takes_the_folder_of_a_finished_run(tmp_path: Path) -> None:
    run, photos = tmp_path / "run", tmp_path / "photos"
    make_bundle(run / "model.mango")
    for name in CLASSES:
        (photos / name).mkdir(parents=True)
        Image.fromarray(solid(name)).save(photos / name / "1.png")
    for command in (
        ("info", run), ("verify", run), ("grade", photos, "--recursive", "--model", run, "--out", tmp_path / "g.csv"),
        ("evaluate", "--model", run, "--data", photos),
    ):  # fmt: skip
        assert call(*command).exit_code == 0, command
    empty = call("grade", photos, "--recursive", "--model", tmp_path / "photos")
    assert (empty.exit_code, empty.stderr.count("\n")) == (2, 1)
    assert "name a .mango file, or the folder of a finished run" in empty.stderr


def test_verify_finds_a_sound_model_sound(bundle: Path) -> None:
    done = call("verify", bundle)
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * 6
    findings = json.loads(call("verify", bundle, "--json").stdout)
    assert [one["check"] for one in findings] == [
        "hashes", "golden answers, fp32 stages", "golden answers, int8 stages", "golden answers, full graph",
        "encoded originals", "heat maps",
    ]  # fmt: skip
    assert all(one["ok"] for one in findings)


def test_info_and_verify_name_what_a_bundle_of_schema_1_lacks(bundle: Path, tmp_path: Path) -> None:
    old = make_bundle(tmp_path / "old.mango", schema=1)
    assert "encoded originals (schema 1)" in call("info", old).stdout
    assert "encoded originals" not in call("info", bundle).stdout
    checked = call("verify", old)
    assert checked.exit_code == 0
    assert "ok      encoded originals: not checked: the model lacks" in checked.stdout


def test_verify_names_the_damaged_part(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "m.mango")
    data = path.read_bytes()
    place = data.index(b"# By hand")
    path.write_bytes(data[:place] + b"* By hand" + data[place + 9 :])
    done = call("verify", path)
    assert done.exit_code == 1
    assert done.stdout == "FAILED  hashes: damaged: card.md\n"
