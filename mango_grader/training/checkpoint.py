"""Checkpoints: nested plain data and tensors in one safetensors file, written whole or not at all. Never pickle."""

import json
from pathlib import Path
from typing import Any

import torch

from mango_grader.training.tensors import damaged, read_tensors, write_tensors

_TREE = "tree"


def save_checkpoint(path: Path, state: Any) -> None:
    """Write `state`: dicts (any plain keys), lists, tuples, tensors, numbers, strings, booleans and None."""
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_pack(state, tensors), allow_nan=False)
    write_tensors(path, tensors, {_TREE: tree})


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Any:
    """Read what `save_checkpoint` wrote, its tensors on `device`; raises MangoError if the file is damaged."""
    tensors, metadata = read_tensors(path, device)
    try:
        return _unpack(json.loads(metadata[_TREE]), tensors)
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from error


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
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


def _unpack(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_unpack(key, tensors): _unpack(item, tensors) for key, item in content}
    items = [_unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
