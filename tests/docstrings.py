"""What a docstring owes its readers: a bullet for each name, no bullet for anything else, markup that renders."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any

import docutils.core
import docutils.nodes
from docstring_markup import fences_as_directives
from docstring_parser import DocstringStyle, parse
from sphinx.ext.napoleon import Config, GoogleDocstring

import mango_grader

ROOT = "mango_grader"
_WARNING = 2  # docutils' level from which a page would be built with complaints
_AS_FIELDS = Config(napoleon_use_ivar=True, napoleon_use_param=True)


def modules(layer: str) -> Iterator[ModuleType]:
    """Yield the modules of a layer, or of a package or module of it: "runtime", "automl.methods", "errors"."""
    for found in pkgutil.walk_packages(mango_grader.__path__, f"{ROOT}."):
        name = found.name.removeprefix(f"{ROOT}.")
        if (name == layer or name.startswith(f"{layer}.")) and not name.endswith("__main__"):
            yield importlib.import_module(found.name)


def exports(layer: str) -> set[object]:
    """Return the classes and functions that packages of the layer export."""
    named = [getattr(module, name) for module in modules(layer) for name in getattr(module, "__all__", ())]
    return {found for found in named if inspect.isclass(found) or inspect.isroutine(found)}


def defined(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the public classes and functions that a module defines itself, by name."""
    for name, found in vars(module).items():
        named = inspect.isclass(found) or inspect.isroutine(inspect.unwrap(found) if callable(found) else found)
        if named and not name.startswith("_") and getattr(found, "__module__", "") == module.__name__:
            yield name, found


def bullets(documented: object) -> dict[str, str]:
    """Return the bullets under `Args:` and `Attributes:` of an object's own docstring: name → text."""
    found = parse(own_docstring(documented), DocstringStyle.GOOGLE).params
    return {bullet.arg_name.lstrip("*"): (bullet.description or "").strip() for bullet in found}


def own_docstring(documented: object) -> str:
    """Return an object's docstring without what it would inherit; nothing for the one that a dataclass makes up."""
    text = vars(documented).get("__doc__") if inspect.isclass(documented) else documented.__doc__
    made_up = is_dataclass(documented) and (text or "").startswith(f"{getattr(documented, '__name__', '')}(")
    return "" if made_up else inspect.cleandoc(text or "")


def problems(documented: Any, *, exported: bool) -> list[str]:
    """Return what is wrong with the docstrings of a public class, its methods included, or of a function."""
    if inspect.isclass(documented):
        return [*_of_class(documented), *(p for method in _methods(documented) for p in _of_method(method))]
    function = inspect.unwrap(documented)
    named = _parameters(function)
    needed = named if exported or len(named) > 1 else []
    return [*_compared(bullets(function), needed, named), *form(function)]


def form(documented: Any) -> list[str]:
    """Return what is wrong with the docstring as text: a summary of several lines, an empty bullet, broken markup."""
    text = own_docstring(documented)
    found = [f"{name}: an empty bullet" for name, words in bullets(documented).items() if not words]
    if "\n" in text.split("\n\n")[0]:
        found.append("the summary takes more than one line")
    rst = ".. default-role:: literal\n\n" + str(GoogleDocstring(fences_as_directives(text), _AS_FIELDS))
    quiet = {"report_level": 5, "halt_level": 5, "warning_stream": False}
    tree = docutils.core.publish_doctree(rst, settings_overrides=quiet)
    messages = [m for m in tree.findall(docutils.nodes.system_message) if m["level"] >= _WARNING]
    return found + [f"markup: {message.astext()}" for message in messages]


def python_blocks(text: str) -> list[str]:
    """Return the fenced Python of a docstring."""
    return [textwrap.dedent(code) for code in re.findall(r"^ *```python\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)]


def documented_objects(module: ModuleType) -> Iterator[Any]:
    """Yield the module and everything in it that may hold an example: its classes, methods and functions."""
    yield module
    for _, found in defined(module):
        yield found
        if inspect.isclass(found):
            yield from _methods(found)


def _of_class(kind: type) -> list[str]:
    line = [each for each in kind.__mro__ if _ours(each, kind)]
    written = _class_bullets(kind)
    inherited = {name: text for each in reversed(line) for name, text in _class_bullets(each).items()}
    known = {name for each in line for name in _attributes(each)} | set(dir(kind))
    needed = _init_names(kind, line)
    missing = [name for name in needed if name not in inherited]
    unknown = [name for name in written if name not in known | set(needed)]
    return [f"{kind.__qualname__}: {problem}" for problem in (*_said(missing, unknown), *form(kind))]


def _ours(base: type, kind: type) -> bool:
    """Return whether a base of `kind` is from the same package, so that its docstring may speak for `kind`."""
    return base.__module__.partition(".")[0] == kind.__module__.partition(".")[0]


def _class_bullets(kind: type) -> dict[str, str]:
    init = vars(kind).get("__init__")
    of_init = bullets(init) if inspect.isfunction(init) and not is_dataclass(kind) else {}
    return bullets(kind) | of_init


def _init_names(kind: type, line: list[type]) -> list[str]:
    """Return what must have a bullet: the public fields, or what `__init__` takes where the project wrote it."""
    if is_dataclass(kind):
        return [field.name for field in fields(kind) if not field.name.startswith("_")]
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return list(kind._fields)
    if issubclass(kind, Enum):
        return []
    init = next((vars(each)["__init__"] for each in line if "__init__" in vars(each)), None)
    own = inspect.isfunction(init) and init.__module__ != "typing"  # a Protocol's is typing's
    return _parameters(init)[1:] if own else []


def _attributes(kind: type) -> set[str]:
    """Return the names that a class annotates or that its methods set on `self`."""
    found = set(vars(kind).get("__annotations__", {}))
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            found.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def _methods(kind: type) -> Iterator[Any]:
    for found in vars(kind).values():
        method = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
        if inspect.isfunction(method) and method.__module__ == kind.__module__ and method.__doc__:
            yield method


def _of_method(method: Callable[..., Any]) -> list[str]:
    written, named = bullets(method), _parameters(inspect.unwrap(method))
    named = [name for name in named if name not in {"self", "cls"}]
    problems = [*_compared(written, named if written else [], named), *form(method)]
    return [f"{method.__qualname__}: {problem}" for problem in problems]


def _parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if not name.startswith("_")]


def _compared(written: dict[str, str], needed: list[str], known: list[str]) -> list[str]:
    missing = [name for name in needed if name not in written]
    return _said(missing, [name for name in written if name not in known])


def _said(missing: list[str], unknown: list[str]) -> list[str]:
    found = [f"no bullet for {name}" for name in missing]
    return found + [f"a bullet for {name}, which does not exist" for name in unknown]
