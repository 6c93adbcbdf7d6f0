"""Names of packages that are imported when they are used, so that importing a package costs little."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


class LazyRegistry(Mapping[str, T]):
    """Names → objects, of which each is imported when it is asked for; the names alone import nothing.

    Args:
        package: dotted name of the package that holds the modules.
        homes: for each name, where its object is: "module.NAME", relative to the package.

    Example:
        >>> folders = LazyRegistry("os", {"join": "path.join", "split": "path.split"})
        >>> list(folders), folders["join"]("a", "b")
        (['join', 'split'], 'a/b')
    """

    def __init__(self, package: str, homes: Mapping[str, str]) -> None:
        self._package, self._homes = package, homes

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._homes[name].rpartition(".")
        found: T = getattr(import_module(f"{self._package}.{module}"), attribute)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


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
