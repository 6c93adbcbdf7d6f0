"""Which file an image id of a CSV means: with or without folder and ending, in the folder most ids point to."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

__all__ = ["Resolver"]


class Resolver:
    """Maps ids to image paths; `found` counts the ids that a single folder explains, or any file by name.

    An id is a path below some folder, with or without the ending. Folders may hold files of equal names (images/,
    masks/), so the one that explains most ids is taken, `images` first among equals; an id it lacks is looked up
    by name in all folders and counts if just one file has it.
    """

    def __init__(self, images: Sequence[str], ids: Iterable[str]) -> None:
        wanted = {_clean(name) for name in ids}
        below: defaultdict[str, dict[str, str]] = defaultdict(dict)
        anywhere: defaultdict[str, set[str]] = defaultdict(set)
        for path in images:
            for name in _spellings(path.rpartition("/")[2]):
                anywhere[name].add(path)
            pieces = path.split("/")
            for depth in range(len(pieces)):
                rest = "/".join(pieces[depth:])
                for name in _spellings(rest):
                    if name in wanted:
                        below["/".join(pieces[:depth])].setdefault(name, path)
        folder = min(below, key=lambda name: (-len(below[name]), not _is_images(name), name), default="")
        self._exact = below[folder]
        self._lower = _unambiguous((name.casefold(), path) for name, path in self._names_of(images, folder))
        self._anywhere = {name: next(iter(paths)) for name, paths in anywhere.items() if len(paths) == 1}
        self.found = sum(self(name) is not None for name in wanted)

    def __call__(self, name: str) -> str | None:
        """Return the path of the image that `name` means, or None."""
        name = _clean(name)
        return self._exact.get(name) or self._lower.get(name.casefold()) or self._anywhere.get(name.rpartition("/")[2])

    @staticmethod
    def _names_of(images: Sequence[str], folder: str) -> Iterable[tuple[str, str]]:
        prefix = f"{folder}/" if folder else ""
        for path in images:
            if path.startswith(prefix):
                for name in _spellings(path[len(prefix) :]):
                    yield name, path


def _clean(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")


def _spellings(path: str) -> tuple[str, str]:
    return path, path[: -len(PurePosixPath(path).suffix)] if PurePosixPath(path).suffix else path


def _is_images(folder: str) -> bool:
    return folder.rpartition("/")[2].casefold() in {"images", "image", "imgs", "img", "photos", "pictures"}


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, path in pairs:
        found[name].add(path)
    return {name: next(iter(paths)) for name, paths in found.items() if len(paths) == 1}
