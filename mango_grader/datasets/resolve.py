"""Which file an image id of a CSV means: with or without folder and ending, in the folder most ids point to."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

__all__ = ["Resolver", "is_image_folder"]


class Resolver:
    """Maps ids to image paths; `found` counts the distinct ids that it can map.

    An id is a path below some folder, with or without the ending. Folders may hold files of equal names (images/,
    masks/), so the one that explains most ids is taken, `images` first among equals; an id that it lacks is looked
    up by file name in all folders. Letter case, and how accents are encoded, count only where files differ in nothing
    else. An id that several files fit is nobody's.
    """

    def __init__(self, images: Sequence[str], ids: Iterable[str]) -> None:
        wanted = {_clean(name) for name in ids}
        folded = {_folded(name) for name in wanted}
        below: defaultdict[str, _Names] = defaultdict(_Names)
        self._anywhere = _Names()
        for path in images:
            self._anywhere.add(path.rpartition("/")[2], path)
            pieces = path.split("/")
            for depth in range(len(pieces)):
                rest = "/".join(pieces[depth:])
                if any(_folded(spelling) in folded for spelling in _spellings(rest)):
                    below["/".join(pieces[:depth])].add(rest, path)
        folder = min(below, key=lambda name: (-len(below[name]), not is_image_folder(name), name), default="")
        self._below = below[folder]
        self.found = sum(self(name) is not None for name in wanted)

    def __call__(self, name: str) -> str | None:
        """Return the path of the image that `name` means, or None."""
        name = _clean(name)
        return self._below.find(name) or self._anywhere.find(name.rpartition("/")[2])


class _Names:
    """Paths by the spellings of a name; as long as the number of paths."""

    def __init__(self) -> None:
        self._exact: defaultdict[str, list[str]] = defaultdict(list)
        self._folded: defaultdict[str, list[str]] = defaultdict(list)
        self._count = 0

    def add(self, name: str, path: str) -> None:
        self._count += 1
        for spelling in _spellings(name):
            self._exact[spelling].append(path)
            self._folded[_folded(spelling)].append(path)

    def find(self, name: str) -> str | None:
        for names, key in ((self._exact, name), (self._folded, _folded(name))):
            if len(names.get(key, ())) == 1:
                return names[key][0]
        return None

    def __len__(self) -> int:
        return self._count


def _folded(name: str) -> str:
    # macOS writes letters and their accents apart in file names, spreadsheets together.
    return unicodedata.normalize("NFC", name.casefold())


def _clean(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")


def _spellings(path: str) -> Iterator[str]:
    yield path
    if suffix := PurePosixPath(path).suffix:
        yield path[: -len(suffix)]


def is_image_folder(folder: str) -> bool:
    """Return whether a folder's name says that it holds images, of whatever class."""
    return folder.rpartition("/")[2].casefold() in {"images", "image", "imgs", "img", "photos", "pictures"}
