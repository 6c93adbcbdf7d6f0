from pathlib import Path

import pytest
from commands import call


@pytest.mark.parametrize("name", ["labels.csv", "photo.jpg", "other.mango", "model.onnx"])
def test_export_never_writes_over_labels_photos_or_models_of_others(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    done = call("export", tmp_path / "run", "--out", tmp_path / name)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert str(tmp_path / name) in done.stderr
    assert (tmp_path / name).read_text() == "mine"
