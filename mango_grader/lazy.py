"""Names of packages that are imported when they are used, so that importing a package costs little."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]], earlier: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Return a module's `__getattr__`, which imports a name's module when the name is asked for.

    Args:
        package: dotted name of the package that exports the names.
        homes: for each of its modules, relative to it, the names that the module defines.
        earlier: names that earlier versions exported, and what they are called now.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def fetch(name: str) -> Any:
        name = (earlier or {}).get(name, name)
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return fetch
