"""Documents as data: their code blocks, how each is run in seconds, and the folder that they are run in."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from photos import write_folders, write_photo

from mango_grader.automl.methods import RandomSettings
from mango_grader.automl.shortlist import ShortlistConfig
from mango_grader.automl.spaces import DagConfig, LiteConfig
from mango_grader.cli import main
from mango_grader.cli.options import FINISHED_WITH_ERRORS
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets import PRESETS, Preset

ROOT = Path(__file__).parents[1]
PAGES = tuple(sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES)

FRUIT_LINES = (
    "mango-grader data synth mangos --count 36 --seed 1",
    "mango-grader data synth second --count 36 --seed 2",
)
FIRST_LINE = "mango-grader search --data ./mangos --out runs/mangos"
"""The first line of the README; it makes the run that other pages go on from."""


@dataclass(frozen=True)
class Instead:
    """An exception: what is run in place of what is printed.

    Attributes:
        printed: a part of a line.
        run: what stands there instead; "" for a line that is not run at all.
        reason: why.
    """

    printed: str
    run: str
    reason: str


_DRAWN = "drawing takes a second for thirty images"
_OPTIONS = "differs from runs that are made only by what its options configure; its steps are timed, none is taken"
EXCEPTIONS = (
    Instead("--count 400", "--count 36", _DRAWN),
    Instead("--count 60", "--count 12", _DRAWN),
    Instead("--count 2000", "--count 10", "two thousand damaged images take minutes"),
    Instead("--teacher mobilenet_v3_large", "--teacher big.onnx --plan-only", "its weights would be downloaded"),
    Instead("--out runs/by-column", "--out runs/by-column --plan-only", _OPTIONS),
    Instead("--preset quick --budget 20m --seed 0", "--preset quick --seed 0 --plan-only", "--resume goes on with it"),
    Instead("--out runs/cells", "--out runs/cells --plan-only", _OPTIONS),
    Instead("--out runs/wider", "--out runs/wider --plan-only", _OPTIONS),
    Instead("--out runs/small", "--out runs/small --plan-only", _OPTIONS),
    Instead("--out runs/fast", "--out runs/fast --plan-only", _OPTIONS),
    Instead("--out runs/front", "--out runs/front --plan-only", _OPTIONS),
    Instead("--out runs/best", "--out runs/best --plan-only", _OPTIONS),
    Instead("--out runs/reviewed", "--out runs/reviewed --plan-only", _OPTIONS),
    Instead("--seeds 3 --budget 10m", "--seeds 1", "minutes"),
    Instead(
        "--methods random,enas,shufflenet_v2_x0_5",
        "--methods shufflenet_v2_x0_5 --size 32 --set train.epochs=1",
        "every run is a process of its own; tests/workflow/comparison has several",
    ),
    Instead("bench --model runs/mangos", "bench --model runs/mangos --seconds 1", "half a minute"),
    Instead("--decide conformal:alpha=0.05", "--decide argmax", "a dozen drawn fruit are too few, so it is refused"),
    Instead("--fruit 40 --seed 1", "--fruit 20 --seed 1 --fps 7", "drawing frames of forty fruit takes a minute"),
    Instead(" rtsp://", "", "there is no camera; tests/line/sources has a small server"),
    Instead("mango-grader sweep farm.toml", "", "minutes; tests/workflow/comparison has several"),
    Instead("--on ray", "", "needs a cluster; tests on two nodes have one"),
    Instead("export ", "", "there is no cluster"),
    Instead("ray start --head", "", "there is no cluster"),
    Instead("ray up", "", "there is no cluster"),
    Instead("ray down", "", "there is no cluster"),
    Instead("torchrun --standalone", "", "several processes; tests/workflow/test_torchrun.py has them"),
    Instead("salloc ", "", "there is no Slurm"),
    Instead("srun ", "", "there is no Slurm"),
    Instead("make install", "", "asks a package index"),
    Instead(".venv/bin/pre-commit install", "", "writes a hook into the clone"),
    Instead("make test", "", "is what runs this"),
    Instead("make lint types", "", "a part of make test"),
    Instead(".venv/bin/pytest", "", "a part of make test"),
    Instead("make demo", "", "minutes; tests/cli/test_demo_command.py runs a short one"),
    Instead("make node", "", "asks a package index"),
    Instead("node examples/node/grade.mjs", "", "tests/test_node_example.py runs it where its packages are"),
    Instead("make docs", "", "tests/test_site.py builds the site"),
    Instead("make bench-", "", "up to hours; tests/benchmarks runs every script at a small scale"),
)
NOT_TYPED = {"docs/contributing/add-a-method.md": "a module, which tests/automl/test_worked_example.py adds and runs"}
"""Pages whose Python is no script, and who runs it."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" where none is named) and its text."""

    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The command lines of a shell block, comments and line breaks taken out."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [shlex.join(words) for line in joined if (words := shlex.split(line, comments=True))]


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    found = re.findall(r"^( *)```([^\n`]*)\n(.*?)^\1```$", text(document), re.MULTILINE | re.DOTALL)
    return [Block(language.strip(), body) for _, language, body in found]


WITH_CODE = [page for page in DOCUMENTS if any(block.language in {"sh", "python"} for block in blocks(page))]


def exceptions_of(line: str) -> list[Instead]:
    return [each for each in EXCEPTIONS if each.printed in line]


def as_run(line: str) -> str | None:
    """Return the line that is run for a printed one; None where none is."""
    for each in exceptions_of(line):
        if not each.run:
            return None
        line = line.replace(each.printed, each.run)
    return line


@dataclass
class Reader:
    """Someone who types what a page says, block by block, in a folder of their own.

    Attributes:
        folder: where.
        stands: command lines whose results are there already.
        names: what the page's Python has defined so far.
    """

    folder: Path
    stands: tuple[str, ...] = ()
    names: dict[str, Any] = field(default_factory=dict)

    def read(self, document: str) -> None:
        """Run every block of a page."""
        for block in blocks(document):
            if block.language == "sh":
                for line in block.lines:
                    self.type(line)
            elif block.language == "python" and document not in NOT_TYPED:
                self.run(block.text, document)

    def run(self, code: str, document: str) -> None:
        """Run Python: a whole script in a process of its own, which may start others; all else by what came before."""
        if '__name__ == "__main__"' not in code:
            exec(compile(code, document, "exec"), self.names)
            return
        script = self.folder / "script.py"
        script.write_text(code, encoding="utf-8")
        paths = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, script], cwd=self.folder, env=paths, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), f"{document}: {done.stderr.decode()}"
        assert done.stdout, f"{document}: a script that prints nothing"

    def type(self, line: str) -> None:
        """Run one command line as `EXCEPTIONS` has it."""
        typed = as_run(line)
        if typed is None or line in self.stands:
            return
        words = shlex.split(typed)
        if words[0] == ".venv/bin/python":
            subprocess.run([sys.executable, *words[1:]], cwd=ROOT, check=True, capture_output=True)
            return
        assert words[0] == "mango-grader", line
        if "--out" in words and "--resume" not in words:
            remove(self.folder / words[words.index("--out") + 1])
        done = CliRunner().invoke(main, words[1:], prog_name="mango-grader")
        assert done.exit_code in (0, FINISHED_WITH_ERRORS), f"{typed}\n{done.output}"


def remove(out: Path) -> None:
    """Remove what an earlier line wrote under the same name, so that pages may use a name twice."""
    if out.is_dir():
        shutil.rmtree(out)
    elif out.exists():
        for path in out.parent.glob(f"{out.name}*"):
            path.unlink()


def tiny_preset() -> Preset:
    """Return the preset `quick` with networks of 32×32 pixels, one epoch, two samples, and no teacher unless named."""
    quick, recipe = PRESETS["quick"], TrainRecipe(epochs=1, batch_size=16)
    dag = DagConfig(
        *(32, 32, 2), channels=8, stages=(1, 1), levels=2, operations=("sep3", "max3"), stem_stride=2, exits=(1, 2)
    )
    lite = LiteConfig(32, 32, 2, kernels=(3,), expansions=(2, 3), blocks=(1, 1, 1), elastic=True)
    return replace(
        quick,
        setup=replace(quick.setup, height=32, width=32, train=recipe, search_batch=16, teacher=None),
        shortlist=ShortlistConfig(size=2, epochs=1),
        spaces={**quick.spaces, "dag": dag, "lite": lite},
        methods={**quick.methods, "random": RandomSettings(epochs=1, samples=2)},
    )


def prepare(folder: Path) -> None:
    """Make what pages other than the tutorial take for granted; the working directory must be `folder`."""
    reader = Reader(folder)
    for line in (*FRUIT_LINES, FIRST_LINE):
        reader.type(line)
    (folder / "second").rename(folder / "mangos-2")
    write_folders(folder, {"belt": 3, "ungraded": 3}, seed=100)
    write_photo(folder / "mango.jpg", 200)
    write_classifier(folder / "big.onnx", classes=3)
    (folder / "prices.csv").write_text("true,A,B,C,review\nA,0,0.4,1.2,0.15\nB,0.9,0,0.5,0.15\nC,6,2,0,0.15\n")


def write_classifier(path: Path, classes: int) -> None:
    """Write an ONNX classifier of the mean colour: (N, 3, H, W) float to (N, classes)."""
    constants = {"axes": np.array([-2, -1], np.int64), "weights": np.eye(3, classes, dtype=np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
            helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
        ],
        "by_colour",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, "side", "side"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def python_names(folder: Path) -> Mapping[str, Callable[..., Any]]:
    """Return what the pages' Python calls without defining it: a camera, an archive, a person."""
    images = sorted((folder / "belt").iterdir()) if (folder / "belt").is_dir() else []

    def each() -> Iterator[Path]:
        yield from images

    return {"camera": each, "archive": each, "send_to_a_person": lambda record: None}
