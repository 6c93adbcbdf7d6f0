"""The .mango model file: one uncompressed ZIP with a hash of every part; nothing in it is ever unpickled."""

import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from mango_grader import files
from mango_grader.errors import BundleError, UsageError
from mango_grader.runtime.bundle.arrays import read_images, read_integers, read_numbers
from mango_grader.runtime.bundle.calibration import (
    CALIBRATION_GROUPS,
    CALIBRATION_LABELS,
    CalibrationData,
    calibration_logits,
    calibration_names,
)
from mango_grader.runtime.bundle.golden import (
    GOLDEN_IMAGES,
    GOLDEN_LABELS,
    GOLDEN_PROBABILITIES,
    ORIGINAL_PIXELS,
    ORIGINAL_PROBABILITIES,
    Golden,
    Originals,
    read_labels,
)
from mango_grader.runtime.bundle.graph import check_graph
from mango_grader.runtime.bundle.manifest import Manifest

MODEL = "model.mango"
"""Name of the bundle in the folder of a run."""
MANIFEST = "manifest.json"
CARD = "card.md"
_LARGEST_MANIFEST = 1 << 22  # bytes
_LARGEST_DIRECTORY = 1 << 20  # bytes: 1,000 parts with the longest names take a quarter
_END = struct.Struct("<4s4H2LH")  # end of central directory record, of a ZIP of less than 4 GiB
_LOCATOR_64 = 20  # bytes before it, where a larger ZIP has the place of other sizes
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The same model gives the same bytes, whenever it is written.


@dataclass(frozen=True)
class Bundle:
    """An opened .mango file, whose parts are read when they are asked for.

    Attributes:
        path: of the file.
        manifest: its description.
        digest: SHA-256 of the manifest, which holds the hashes of all other parts, in hexadecimal.

    Example:
        ```python
        bundle = Bundle.open("model.mango")
        print(bundle.manifest.classes, bundle.card)
        ```
    """

    path: Path
    manifest: Manifest
    digest: str

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read the manifest of a .mango file.

        Args:
            path: of the file, or of the folder of a finished run that holds it.

        Raises:
            UsageError: if there is no such file.
            BundleError: if the file is damaged, or not a bundle.
        """
        path = _file(Path(path))
        try:
            with _archive(path) as archive:
                names = _names(archive, path.stat().st_size)
                data = archive.read(MANIFEST)
        except BundleError as error:
            raise BundleError(f"{path} is not a .mango model: {error}") from error
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
        except Exception as error:  # zipfile raises exceptions of nearly every type on damaged files.
            raise BundleError(f"{path} is not a .mango model, or it is damaged: {error}") from error
        try:
            manifest = Manifest.from_json(data)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        if not names - {MANIFEST} == set(manifest.hashes) == _needed(manifest):
            raise BundleError(f"{path} is damaged: its parts are not those that its manifest names")
        return cls(path, manifest, files.digest(data))

    def read(self, name: str) -> bytes:
        """Return one part after checking its hash; raise `BundleError` if it is missing or altered."""
        if name not in self.manifest.hashes:
            raise BundleError(f"{self.path} has no part {name}")
        try:
            with _archive(self.path) as archive:
                _names(archive, self.path.stat().st_size)
                data = archive.read(name)
        except Exception as error:  # As above.
            raise BundleError(f"{self.path} is damaged: {name} cannot be read") from error
        if files.digest(data) != self.manifest.hashes[name]:
            raise BundleError(f"{self.path} is damaged: {name} is not what was written")
        return data

    def graph(self, name: str) -> bytes:
        """Return one ONNX graph; raise `BundleError` if it is missing, altered or holds what `check_graph` refuses."""
        data = self.read(name)
        try:
            check_graph(data)
        except BundleError as error:
            raise BundleError(f"{self.path}: {name}: {error}") from error
        return data

    @property
    def card(self) -> str:
        """The model card in Markdown; raises `BundleError` if it is not UTF-8."""
        try:
            return self.read(CARD).decode()
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.path}: {CARD} is not UTF-8") from error

    def golden(self) -> Golden:
        """Return the golden images and answers; raise `BundleError` if they do not fit the manifest."""
        parts = {name: self.read(name) for name in (GOLDEN_IMAGES, GOLDEN_PROBABILITIES, GOLDEN_LABELS)}
        try:
            golden = Golden(
                read_images(parts[GOLDEN_IMAGES], GOLDEN_IMAGES),
                read_numbers(parts[GOLDEN_PROBABILITIES], GOLDEN_PROBABILITIES),
                read_labels(parts[GOLDEN_LABELS], len(self.manifest.classes)),
            )
            golden.check(self.manifest)
        except BundleError as error:
            raise BundleError(f"{self.path}: {error}") from error
        return golden

    def originals(self) -> Originals | None:
        """Return the encoded originals, None in schema 1; raise `BundleError` if they do not fit the manifest."""
        names = self.manifest.originals
        if not names:
            return None
        parts = {name: self.read(name) for name in (*names, ORIGINAL_PIXELS, ORIGINAL_PROBABILITIES)}
        try:
            originals = Originals(
                {name: parts[name] for name in names},
                read_images(parts[ORIGINAL_PIXELS], ORIGINAL_PIXELS),
                read_numbers(parts[ORIGINAL_PROBABILITIES], ORIGINAL_PROBABILITIES),
            )
            originals.check(self.manifest)
        except BundleError as error:
            raise BundleError(f"{self.path}: {error}") from error
        return originals

    def calibration(self, precision: str = "fp32") -> CalibrationData | None:
        """Return the calibration data of one precision, None if the bundle has none.

        Args:
            precision: of the stages that gave the answers.

        Raises:
            UsageError: if there are no stages of that precision.
            BundleError: if the data do not fit the manifest.
        """
        info = self.manifest.calibration
        if precision not in self.manifest.stages:
            raise UsageError(f"{self.path} has no {precision} stages, only {', '.join(self.manifest.stages)}")
        if info is None:
            return None
        logits, labels = calibration_logits(precision), CALIBRATION_LABELS
        try:
            data = CalibrationData(
                read_numbers(self.read(logits), logits),
                read_integers(self.read(CALIBRATION_GROUPS), CALIBRATION_GROUPS),
                read_integers(self.read(labels), labels) if info.labelled else None,
            )
            data.check(self.manifest)
        except BundleError as error:
            raise BundleError(f"{self.path}: {error}") from error
        return data


def write_bundle(path: str | os.PathLike[str], manifest: Manifest, parts: Mapping[str, bytes]) -> Manifest:
    """Write a bundle atomically.

    Args:
        path: of the .mango file.
        manifest: without hashes.
        parts: content of each part, by its name.

    Returns:
        The manifest with the hashes of all parts.

    Raises:
        BundleError: if a part is missing that every bundle or the manifest needs, if there are others, or if the
            manifest could not be read again.
    """
    if unknown := sorted(set(parts) - _needed(manifest)):
        raise BundleError(f"the manifest does not name {', '.join(unknown)}")
    if missing := sorted(_needed(manifest) - set(parts)):
        raise BundleError(f"the bundle lacks {', '.join(missing)}")
    manifest = replace(manifest, hashes={name: files.digest(parts[name]) for name in sorted(parts)})
    Manifest.from_json(manifest.to_json())
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), manifest.to_json())
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), parts[name])
    return manifest


def _file(path: Path) -> Path:
    try:
        if path.is_dir():
            folder, path = path, path / MODEL
            if not path.is_file():
                raise UsageError(f"{folder} has no {MODEL}; name a .mango file, or the folder of a finished run")
        if not path.is_file():
            raise UsageError(f"no such model: {path}")
    except OSError as error:  # such as a name that is too long, or a folder that may not be entered
        raise UsageError(f"no such model: {path}: {error.strerror}") from error
    return path


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP whose directory is small and at its very end; raise `BundleError` otherwise.

    zipfile reads the whole directory into memory first, however many parts it lists.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size - _LOCATOR_64))
        end = file.read()
        if len(end) < _END.size:
            raise BundleError("it is no ZIP")
        mark, *_, directory, _, comment = _END.unpack(end[-_END.size :])
        if mark != b"PK\x05\x06" or comment or end.startswith(b"PK\x06\x07"):
            raise BundleError("it is no ZIP of less than 4 GiB without a comment, or its end is missing")
        if directory > _LARGEST_DIRECTORY:
            raise BundleError("it lists too many parts")
        with zipfile.ZipFile(file) as archive:
            yield archive


def _names(archive: zipfile.ZipFile, size: int) -> set[str]:
    """Return the parts' names; raise `BundleError` unless each is there once, uncompressed, within `size` bytes."""
    entries = archive.infolist()
    names = {one.filename for one in entries}
    if MANIFEST not in names:
        raise BundleError(f"it has no {MANIFEST}")
    if len(names) != len(entries):
        raise BundleError("it has a part twice")
    if any(one.compress_type != zipfile.ZIP_STORED or one.compress_size != one.file_size for one in entries):
        raise BundleError("a part is compressed; all must be uncompressed")
    if sum(one.file_size for one in entries) > size or archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise BundleError("a part declares too large a size")
    return names


def _needed(manifest: Manifest) -> set[str]:
    stages = {name for files_of_one in manifest.stages.values() for name in files_of_one}
    golden = {GOLDEN_IMAGES, GOLDEN_PROBABILITIES, GOLDEN_LABELS}
    originals = {*manifest.originals, ORIGINAL_PIXELS, ORIGINAL_PROBABILITIES} if manifest.originals else set()
    return stages | golden | originals | calibration_names(manifest) | {*manifest.heat, manifest.full, CARD}
