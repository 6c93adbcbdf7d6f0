from pathlib import Path

from commands import call


def test_the_demo_writes_into_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("mine")
    for out in (tmp_path, tmp_path / "demo.json"):
        done = call("demo", "--out", out)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == f"Error: --out {out} exists and is not the folder of a demo; choose a new or empty one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["demo.json"]
    assert (tmp_path / "demo.json").read_text() == "mine"
