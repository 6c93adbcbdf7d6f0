import json
import subprocess
import sys
from importlib import metadata

import pytest
from commands import call

from mango_grader.cli import doctor
from mango_grader.cli.doctor import diagnose
from mango_grader.errors import MangoError


def test_doctor_reports_this_installation() -> None:
    done = call("doctor", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["python"] == sys.version.split()[0]
    assert found["versions"]["numpy"] == metadata.version("numpy")
    assert "CPUExecutionProvider" in found["providers"]
    assert found["broken"] == []
    assert found["cores"] >= 1
    text = call("doctor").stdout
    assert "grading works here" in text


def test_doctor_imports_no_torch() -> None:
    code = "import sys; from mango_grader.cli.doctor import diagnose; diagnose(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout == "False\n"


def versions(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    real = doctor._version
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    monkeypatch.setattr(doctor, "_version", lambda name: changes[name] if name in changes else real(name))


def test_a_wrong_albumentations_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, albumentations="1.4.0")
    assert any("albumentations==2.0.8" in line for line in diagnose().advice)


def test_two_onnxruntimes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, onnxruntime="1.31.1", onnxruntime_gpu="1.31.1")
    assert any("conflict" in line for line in diagnose().advice)


def test_a_partial_training_installation_names_what_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    present = dict.fromkeys(doctor.TRAINING, "1") | {"albumentations": "2.0.8", "torch": None}
    versions(monkeypatch, **present)
    assert diagnose().advice == ("packages for training are missing (torch); run: pip install 'mango-grader[train]'",)


def test_no_training_installation_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, **dict.fromkeys(doctor.TRAINING))
    found = diagnose()
    assert found.broken == ()
    assert "not installed; run: pip install 'mango-grader[train]'" in found.advice[0]


def test_an_unused_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_gpus", lambda: ("NVIDIA Something",))
    monkeypatch.setattr(doctor, "_engine", lambda: (("CPUExecutionProvider",), ()))
    assert any("install onnxruntime-gpu" in line for line in diagnose().advice)


def test_an_onnxruntime_that_does_not_run_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: bytes, provider: str) -> None:
        raise MangoError("libfoo.so is missing")

    monkeypatch.setattr("mango_grader.runtime.inference.sessions.make_session", broken)
    done = call("doctor")
    assert done.exit_code == 1
    assert "BROKEN  onnxruntime does not run (libfoo.so is missing)" in done.stdout
