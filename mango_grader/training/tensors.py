"""Tensors on disk: safetensors files, written whole or not at all, with errors that name the file."""

import os
from collections.abc import Mapping

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mango_grader.errors import MangoError
from mango_grader.files import write_bytes


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write contiguous CPU tensors; raises OSError that names `path`, on a full disk, say."""
    write_bytes(path, save(dict(tensors), None if metadata is None else dict(metadata)))


def read_tensors(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file, on `device`, and its metadata; raises MangoError if it is damaged."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            # Cloned, because Windows replaces no file that a tensor still maps; `file` is no mapping.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise damaged(path, error) from error


def damaged(path: str | os.PathLike[str], error: Exception) -> MangoError:
    """Return what to say of a run's file that does not hold what was written to it; a resumed run makes it again."""
    reason = " ".join(str(error).split())[:100]
    return MangoError(f"{path} is damaged ({reason}); delete it, and --resume makes it again")
