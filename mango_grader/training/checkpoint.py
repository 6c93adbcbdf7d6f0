"""Tensors and checkpoints on disk: safetensors files, written whole or not at all, never pickle."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mango_grader.errors import MangoError
from mango_grader.files import write_bytes

_TREE = "tree"


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a safetensors file, whole or not at all.

    Args:
        path: of the file.
        tensors: contiguous, on the CPU, by name.
        metadata: strings by name, kept beside the tensors.

    Raises:
        OSError: names `path`; on a full disk, for example.
    """
    write_bytes(path, save(dict(tensors), None if metadata is None else dict(metadata)))


def read_tensors(
    path: str | os.PathLike[str], device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    Args:
        path: of the file.
        device: where the tensors go.

    Raises:
        MangoError: if the file is damaged.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            # Cloned, because Windows replaces no file that a tensor still maps; `file` is no mapping.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except SafetensorError as error:
        raise damaged(path, error) from error


def damaged(path: str | os.PathLike[str], error: Exception) -> MangoError:
    """Return the error for a file of a run that does not hold what was written to it; a resumed run writes it again.

    Args:
        path: of the file.
        error: what reading it raised.
    """
    reason = " ".join(str(error).split())[:100]
    return MangoError(f"{path} is damaged ({reason}); delete it, and --resume writes it again")


def save_checkpoint(path: Path, state: Any) -> None:
    """Write nested plain data and tensors to one file, whole or not at all.

    Args:
        path: of the file.
        state: dicts (with any plain keys), lists, tuples, tensors, numbers, strings, booleans and None.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors), allow_nan=False)
    write_tensors(path, tensors, {_TREE: tree})


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Any:
    """Read what `save_checkpoint` wrote.

    Args:
        path: of the file.
        device: where the tensors go.

    Raises:
        MangoError: if the file is damaged.
    """
    tensors, metadata = read_tensors(path, device)
    try:
        return _unpack(json.loads(metadata[_TREE]), tensors)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from error


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_pack(key, tensors), _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_unpack(key, tensors): _unpack(item, tensors) for key, item in content}
    items = [_unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
