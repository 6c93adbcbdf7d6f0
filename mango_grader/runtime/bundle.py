"""The .mango model file: one stored ZIP whose every part is hashed; nothing in it is ever unpickled."""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mango_grader import files
from mango_grader.errors import BundleError, UsageError
from mango_grader.runtime.manifest import Manifest

MODEL = "model.mango"
"""What a run's folder calls its bundle."""
MANIFEST = "manifest.json"
CARD = "card.md"
GOLDEN_IMAGES = "golden/images.npy"
GOLDEN_PROBABILITIES = "golden/probabilities.npy"
GOLDEN_LABELS = "golden/labels.json"
_Scalar = TypeVar("_Scalar", bound=np.generic)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The same model gives the same bytes, whenever it is written.


@dataclass(frozen=True)
class Golden:
    """Preprocessed images and what the model answered when it was made.

    `images` (G, H, W, 3) uint8; `probabilities` (K, G, C) float32, calibrated, of every exit; `labels` (G,) true
    classes.
    """

    images: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Bundle:
    """An opened .mango file; `digest` names its whole content (it covers the manifest and thereby all hashes)."""

    path: Path
    manifest: Manifest
    digest: str

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read the manifest of a .mango file, or of the one in the folder of a finished run.

        Raises `UsageError` if there is none, `BundleError` if it is no sound bundle.
        """
        path = Path(path)
        if path.is_dir():
            folder, path = path, path / MODEL
            if not path.is_file():
                raise UsageError(f"{folder} has no {MODEL}; name a .mango file, or the folder of a finished run")
        if not path.is_file():
            raise UsageError(f"no such model: {path}")
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                if MANIFEST not in names:
                    raise BundleError(f"{path} is not a .mango model: it has no {MANIFEST}")
                data = archive.read(MANIFEST)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise BundleError(f"{path} is not a .mango model, or it is damaged: {error}") from error
        try:
            manifest = Manifest.from_json(data)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        if sorted(names) != sorted([MANIFEST, *manifest.hashes]) or not _needed(manifest).issubset(names):
            raise BundleError(f"{path} is damaged: its parts are not those that its manifest lists")
        return cls(path, manifest, files.digest(data))

    def read(self, name: str) -> bytes:
        """Return one part, its hash checked; raise `BundleError` if it is missing or altered."""
        if name not in self.manifest.hashes:
            raise BundleError(f"{self.path} has no part {name}")
        try:
            with zipfile.ZipFile(self.path) as archive:
                data = archive.read(name)
        except (zipfile.BadZipFile, OSError, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
            raise BundleError(f"{self.path} is damaged: {name} cannot be read") from error
        if files.digest(data) != self.manifest.hashes[name]:
            raise BundleError(f"{self.path} is damaged: {name} is not what was written")
        return data

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self.read(CARD).decode()

    def golden(self) -> Golden:
        """Return the golden images and answers; raise `BundleError` if they do not fit the manifest."""
        images = self._array(GOLDEN_IMAGES, np.uint8)
        probabilities = self._array(GOLDEN_PROBABILITIES, np.float32)
        labels = tuple(int(one) for one in json.loads(self.read(GOLDEN_LABELS)))
        fit = self.manifest.preprocess
        count = len(images)
        if (
            images.shape != (count, fit.height, fit.width, 3)
            or probabilities.shape != (len(self.manifest.exits), count, len(self.manifest.classes))
            or len(labels) != count
        ):
            raise BundleError(f"{self.path}: its golden images do not fit its manifest")
        return Golden(images, probabilities, labels)

    def _array(self, name: str, dtype: type[_Scalar]) -> NDArray[_Scalar]:
        try:
            array = np.load(io.BytesIO(self.read(name)), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise BundleError(f"{self.path}: {name} is not an array") from error
        if array.dtype != dtype:
            raise BundleError(f"{self.path}: {name} holds {array.dtype}")
        return np.asarray(array, dtype)


def write_bundle(path: str | os.PathLike[str], manifest: Manifest, parts: Mapping[str, bytes]) -> Manifest:
    """Write `parts` (file name -> bytes) and the manifest, completed by their hashes, atomically; return it.

    Raises `BundleError` if a part that the manifest or every bundle needs is missing.
    """
    if missing := sorted(_needed(manifest) - set(parts)):
        raise BundleError(f"the bundle lacks {', '.join(missing)}")
    manifest = replace(manifest, hashes={name: files.digest(parts[name]) for name in sorted(parts)})
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), manifest.to_json())
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), parts[name])
    return manifest


def golden_parts(golden: Golden) -> dict[str, bytes]:
    """Return the parts that hold `golden`, ready for `write_bundle`."""
    return {
        GOLDEN_IMAGES: _npy(golden.images.astype(np.uint8, copy=False)),
        GOLDEN_PROBABILITIES: _npy(golden.probabilities.astype(np.float32, copy=False)),
        GOLDEN_LABELS: json.dumps(list(golden.labels)).encode(),
    }


def _needed(manifest: Manifest) -> set[str]:
    stages = {name for files_of_one in manifest.stages.values() for name in files_of_one}
    return stages | {manifest.full, CARD, GOLDEN_IMAGES, GOLDEN_PROBABILITIES, GOLDEN_LABELS}


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
