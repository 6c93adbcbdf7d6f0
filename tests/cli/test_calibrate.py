"""`mango-grader calibrate` on real bundles and folders of drawn photos."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bundles import CLASSES, COLOURS, make_bundle
from commands import call
from PIL import Image

from mango_grader.runtime import Bundle, Grader, verify_bundle


def draw(folder: Path, fruit: int, labelled: bool = True) -> Path:
    """Draw two photos of each fruit, between the colours of two classes, in class folders or all in one."""
    rng = np.random.default_rng(0)
    for number in range(fruit):
        name = CLASSES[number % 3]
        other = COLOURS[CLASSES[(number + 1) % 3]]
        for view in range(2):
            share = rng.uniform(0, 0.6)
            colour = (1 - share) * np.array(COLOURS[name]) + share * np.array(other)
            place = folder / (name if labelled else "") / f"fruit{number:03}_{view}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((24, 32, 3), colour, np.uint8)).save(place)
    return folder


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("line"), 60)


GROUPS = ("--group-by", r"re:fruit\d+")


def test_graded_fruit_replace_temperatures_and_calibration_data(bundle: Path, graded: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.mango"
    done = call("calibrate", bundle, "--data", graded, *GROUPS, "--out", out, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    before, after = Bundle.open(bundle), Bundle.open(out)
    info = after.manifest.calibration
    assert info is not None
    assert (info.images, info.groups, info.labelled, info.retrained) == (120, 60, True, False)
    assert told["temperatures"] == [one.temperature for one in after.manifest.exits]
    assert told["temperatures_before"] == [one.temperature for one in before.manifest.exits]
    assert told["temperatures"] != told["temperatures_before"]
    assert after.manifest.default_policy == "risk:eps=0.05,delta=0.1"
    assert after.manifest.stages == before.manifest.stages
    assert all(finding.ok for finding in verify_bundle(after, "cpu"))
    assert after.manifest.provenance["recalibrated"]["from"] == before.digest
    assert "Calibrated again" in after.card


def test_the_new_temperatures_fit_the_fruit_better(bundle: Path, graded: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.mango"
    assert call("calibrate", bundle, "--data", graded, "--out", out).exit_code == 0

    def log_loss(path: Path) -> float:
        grader = Grader.load(path, "cpu", policy="full")
        records = [(name, grader.grade(one)) for name in CLASSES for one in sorted((graded / name).iterdir())]
        return float(-np.mean([np.log(one.probabilities[CLASSES.index(name)]) for name, one in records]))  # type: ignore[index]

    assert log_loss(out) < log_loss(bundle)


def test_ungraded_fruit_leave_temperatures_and_bound_disagreement(bundle: Path, tmp_path: Path) -> None:
    belt, out = draw(tmp_path / "belt", 60, labelled=False), tmp_path / "new.mango"
    assert call("calibrate", bundle, "--unlabelled", belt, *GROUPS, "--out", out).exit_code == 0
    old, new = Bundle.open(bundle).manifest, Bundle.open(out).manifest
    assert new.exits == old.exits
    assert new.calibration is not None
    assert (new.calibration.groups, new.calibration.labelled) == (60, False)
    policy = str(Grader.load(out, "cpu", policy="risk:eps=0.05,delta=0.1").policy)
    assert "other answers than the last exit" in policy
    assert new.default_policy == "full"  # Without grades, nobody knows what stopping early costs.


def test_defaults_alone_change_and_prices_travel(bundle: Path, tmp_path: Path) -> None:
    prices, out = tmp_path / "prices.csv", tmp_path / "new.mango"
    prices.write_text("true,green,yellow,red,review\ngreen,0,5,9,0.3\nyellow,1,0,5,0.3\nred,1,1,0,0.3\n")
    done = call("calibrate", bundle, "--default-policy", "exit:1", "--default-decide", f"cost:{prices}", "--out", out)
    assert done.exit_code == 0, done.stderr
    prices.unlink()
    grader = Grader.load(out, "cpu")
    assert str(grader.policy) == "exit:1"
    assert grader.manifest.prices is not None
    record = grader.grade(np.full((20, 20, 3), COLOURS["red"], np.uint8))
    assert record.cost is not None
    assert Bundle.open(out).golden().probabilities.tolist() == Bundle.open(bundle).golden().probabilities.tolist()


def test_unreadable_photos_are_named_and_left_out(bundle: Path, tmp_path: Path) -> None:
    data, out = draw(tmp_path / "line", 6), tmp_path / "new.mango"
    (data / "red" / "broken.jpg").write_bytes(b"no image")
    done = call("calibrate", bundle, "--data", data, "--out", out)
    assert done.exit_code == 3
    assert "left out red/broken.jpg" in done.stderr
    assert Bundle.open(out).manifest.calibration.images == 12  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nothing to change"),
        (("--data", "line", "--unlabelled", "line"), "give one of them"),
        (("--group-by", "re:x", "--default-policy", "full"), "--group-by groups photos"),
        (("--default-policy", "exit:9"), "this model has exits 1 to 2"),
        (("--default-policy", "risk"), "keeps no calibration data"),
        (("--default-decide", "cost:ordinal"), "not in order"),
        (("--default-decide", "cost:none.csv"), "none.csv"),
        (("--data", "nowhere"), "nowhere"),
        (("--data", "line", "--default-policy", "risk:eps=0.05,delta=0.1"), "45"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    bundle: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    draw(tmp_path / "line", 6)
    placed = [str(tmp_path / one) if one in {"line", "nowhere"} else one for one in arguments]
    done = call("calibrate", bundle, *placed, "--out", tmp_path / "new.mango")
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()[-1:]) == 1
    assert not (tmp_path / "new.mango").exists()


def test_a_model_is_never_replaced(bundle: Path, graded: Path) -> None:
    before = bundle.read_bytes()
    done = call("calibrate", bundle, "--data", graded, "--out", bundle)
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert bundle.read_bytes() == before


def test_a_model_of_schema_1_says_what_to_do(tmp_path: Path, graded: Path) -> None:
    old = make_bundle(tmp_path / "old.mango", schema=1)
    done = call("calibrate", old, "--data", graded, "--out", tmp_path / "new.mango")
    assert done.exit_code == 2
    assert "export its run again" in done.stderr


def test_a_model_of_schema_2_becomes_one_of_schema_3(tmp_path: Path, graded: Path) -> None:
    old, out = make_bundle(tmp_path / "old.mango", schema=2), tmp_path / "new.mango"
    assert call("calibrate", old, "--data", graded, *GROUPS, "--out", out).exit_code == 0
    assert Bundle.open(out).manifest.schema == 3


def test_a_killed_calibration_leaves_no_half_model(bundle: Path, graded: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mango_grader", "calibrate", str(bundle), "--data", str(graded), "--out"]
    for number, seconds in enumerate((0.3, 0.6, 0.9, 1.2)):
        out = tmp_path / f"{number}.mango"
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not out.exists() or all(finding.ok for finding in verify_bundle(Bundle.open(out), "cpu"))


def test_it_imports_no_torch(bundle: Path, graded: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from mango_grader.cli import main; "
        "code = main(sys.argv[1:], standalone_mode=False); "
        "heavy = {'torch', 'scipy', 'sklearn', 'pydantic', 'matplotlib', 'onnx'} & sys.modules.keys(); "
        "print(code, heavy); sys.exit(bool(heavy))"
    )
    arguments = ["calibrate", str(bundle), "--data", str(graded), "--out", str(tmp_path / "new.mango")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
