"""The house rules that a reader relies on: who may import whom, what is public, how long a file may be."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import mango_grader

PACKAGE = Path(mango_grader.__file__).parent
ROOT = PACKAGE.parent

# A module imports only its own layer and those above it.
LAYERS = (
    *("errors", "files", "lazy", "plural", "progress", "ranges", "runtime", "datasets", "models", "training"),
    *("export", "automl", "report", "workflow", "cli"),
)
# What a sorting line installs, and the modules that must run on nothing else.
BASE = {"numpy", "PIL", "onnxruntime", "click", "filelock", "rich"}
LINE = (
    *("errors", "files", "lazy", "plural", "progress", "runtime"),
    *("cli.__init__", "cli.console", "cli.interrupts", "cli.options", "cli.table"),
    *("cli.grade", "cli.info", "cli.verify", "cli.doctor"),
)
OPTIONAL_ON_THE_LINE = {"pyarrow", "pi_heif"}  # inside a function, for those who asked for Parquet or HEIC
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LONGEST_FILE = 400


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, and whether it is imported as soon as its importer is."""

    target: str
    eager: bool
    line: int


def modules() -> list[str]:
    """Return every module of the package, dotted below it: "runtime.grader", "runtime.__init__"."""
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))


def packages() -> list[str]:
    return [name for name in modules() if name.split(".")[-1] == "__init__"]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Return the imports of `module`, those inside functions and type-checking blocks included."""
    return tuple(_walk(tree(module), ["mango_grader", *module.split(".")[:-1]], eager=True))


def _walk(node: ast.AST, package: list[str], eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _type_checking(child)
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, eager, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            start = package[: len(package) - child.level + 1] if child.level else []
            base = ".".join([*start, *([child.module] if child.module else [])])
            # `from mango_grader import runtime` names a layer only in its last word.
            if base == "mango_grader":
                yield from (Import(f"{base}.{alias.name}", eager, child.lineno) for alias in child.names)
            else:
                yield Import(base, eager, child.lineno)
        yield from _walk(child, package, eager and not lazy)


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def layer(module: str) -> str | None:
    """Return the layer of an absolute module name; None for the root and for everybody else's modules."""
    first, _, rest = module.partition(".")
    name = rest.split(".")[0]
    return name if first == "mango_grader" and name in LAYERS else None


def third_party(module: str) -> Iterator[Import]:
    for found in imports(module):
        top = found.target.split(".")[0]
        if top != "mango_grader" and top not in sys.stdlib_module_names:
            yield found


@pytest.mark.parametrize("module", modules())
def test_a_layer_imports_only_itself_and_those_above(module: str) -> None:
    own = layer(f"mango_grader.{module}")
    if own is None:
        assert module in {"__init__", "__main__"}, "a new top-level module needs its place in LAYERS"
        return
    wrong = [
        f"line {found.line}: {found.target}"
        for found in imports(module)
        if (other := layer(found.target)) and LAYERS.index(other) > LAYERS.index(own)
    ]
    assert not wrong


def is_line(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in LINE)


@pytest.mark.parametrize("module", [name for name in modules() if is_line(name)])
def test_what_a_sorting_line_runs_needs_only_the_base_install(module: str) -> None:
    allowed = {True: BASE, False: BASE | OPTIONAL_ON_THE_LINE}
    foreign = [f.target for f in third_party(module) if f.target.split(".")[0] not in allowed[f.eager]]
    below = [
        found.target
        for found in imports(module)
        if layer(found.target) and not is_line(found.target.removeprefix("mango_grader."))
        if found.eager and found.target != "mango_grader.cli"
    ]
    assert not foreign
    assert not below


def test_the_line_names_modules_that_exist() -> None:
    for name in LINE:
        assert any(module == name or module.startswith(f"{name}.") for module in modules()), name


def test_every_import_is_declared_by_the_project() -> None:
    """What is imported is asked for by name, not found by luck in somebody else's dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {_normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}
    homes = importlib.metadata.packages_distributions()
    undeclared = {
        f"{module}: {found.target}"
        for module in modules()
        for found in third_party(module)
        if not declared & {_normal(home) for home in homes.get(found.target.split(".")[0], [])}
    }
    assert not undeclared


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_room_is_a_package() -> None:
    """A folder without __init__.py is left out of builds and checks."""
    rooms = {path.parent for path in PACKAGE.rglob("*.py")}
    assert not [str(room.relative_to(ROOT)) for room in rooms if not (room / "__init__.py").exists()]


@pytest.mark.parametrize("package", packages())
def test_all_names_exactly_what_is_public(package: str) -> None:
    name = ".".join(["mango_grader", *package.split(".")[:-1]])
    module = importlib.import_module(name)
    exported = module.__all__
    assert len(exported) == len(set(exported))
    for public in exported:
        assert hasattr(module, public), f"{name}.{public} is exported but does not exist"
    assert set(own_public_names(package)) <= set(exported)


def own_public_names(module: str) -> Iterator[str]:
    """Yield what a package's own file defines; ruff reports imports that are neither exported nor used (F401)."""
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            names = []
        yield from (name for name in names if not name.startswith("_"))


def test_importing_the_package_and_its_command_line_costs_no_torch() -> None:
    code = (
        "import sys, mango_grader, mango_grader.runtime, mango_grader.cli\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'cv2', 'matplotlib', 'albumentations', 'pyarrow'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", modules())
def test_nothing_is_pickled(module: str) -> None:
    assert not [f.target for f in imports(module) if f.target.split(".")[0] in PICKLERS]
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    # torch's own save and load pickle; weights travel as safetensors. Others' published weights exist only as torch
    # wrote them: for these alone there is its reader of tensors, which runs nothing that a file says.
    assert "torch.save" not in {ast.unparse(call.func) for call in calls}
    readers = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    assert not readers or module == "models.imagenet"
    for call in readers:
        assert {k.arg: ast.unparse(k.value) for k in call.keywords}["weights_only"] == "True", f"line {call.lineno}"
    for call in calls:
        for keyword in call.keywords:
            if keyword.arg == "allow_pickle":
                assert ast.unparse(keyword.value) == "False", f"line {call.lineno}"


def committed() -> list[Path]:
    """Return the files that git tracks: run folders and notes beside them are nobody else's business."""
    command = ["git", "ls-files", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_files_stay_short() -> None:
    python = [path for path in committed() if path.suffix == ".py"]
    assert python
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python}
    assert not {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE}


def test_no_two_files_of_tests_share_a_name() -> None:
    """Pytest imports them by name alone, and would leave the second one out with an error."""
    names = [path.name for path in committed() if path.suffix == ".py" and "tests" in path.parts]
    assert names
    assert not {name for name in names if name.startswith("test_") and names.count(name) > 1}


# Where packages come from is the installing machine's business. Brackets keep this file out of its own net.
HOSTS = re.compile(
    rb"py[p]i\.org|python[h]osted|download\.py[t]orch|ana[c]onda\.(org|com)|npm[j]s|hugging[f]ace\.co"
    rb"|--(extra-)?index-[u]rl|find-[l]inks"
)
MACHINE_PATHS = re.compile(rb"/(?:work|home|Users)/\w")


@pytest.mark.parametrize("pattern", [HOSTS, MACHINE_PATHS], ids=["registries", "paths of one machine"])
def test_no_committed_file_names(pattern: re.Pattern[bytes]) -> None:
    assert pattern.search(b"at https://" + b"py" + b"pi.org or /ho" + b"me/somebody")
    found = {str(p.relative_to(ROOT)): hit[0] for p in committed() if (hit := pattern.search(p.read_bytes()))}
    assert not found
