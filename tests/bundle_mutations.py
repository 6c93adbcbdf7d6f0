"""What may be done to a bundle: one function a level, each damages the file at a path by a random generator."""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bundles import change_bundle
from onnx import TensorProto, helper

from mango_grader.runtime.bundle.archive import MANIFEST

Parts = dict[str, bytes]


def _zip_bytes(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Damage the file as a whole: any byte, its end, or the directory of the ZIP."""
    data = bytearray(path.read_bytes())
    how = rng.choice(["flip", "flip", "directory", "directory", "cut", "drop", "insert", "repeat"])
    place, size = rng.randrange(len(data)), rng.randrange(1, 400)
    if how == "directory":
        place = data.index(b"PK\x01\x02")
    if how in ("flip", "directory"):
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(place, len(data)) if how == "directory" else rng.randrange(len(data))] = rng.randrange(
                256
            )
    elif how == "cut":
        del data[place:]
    elif how == "drop":
        del data[place : place + size]
    elif how == "insert":
        data[place:place] = rng.randbytes(size)
    else:
        data[place:place] = data[place : place + size]
    path.write_bytes(data)
    return f"{how} at {place}", False


PATHS = ["../x", "/etc/passwd"]
STRANGE: dict[type, list[Any]] = {
    str: [None, 3, True, [], {}, "", " ", "\x1b[2Jred", "a\nb", "\ud800", *PATHS, "x" * 5000],
    int: [None, "3", 1.5, True, [], -1, -(10**30), 10**30, float("nan"), float("inf")],
    float: [None, "0.5", True, [], {}, -1.0, -1e300, 1e300, float("nan"), float("-inf")],
    bool: [None, 0, 1, "true", [], {}],
    list: [None, {}, "ab", 3, [], True, [None], [[]], list(range(99))],
    dict: [None, [], "ab", 3, True, {"": None}],
}


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in members:
        yield (*way, key)
        yield from _places(one, (*way, key))


def _field(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Give one value of the manifest another type or an extreme, or take it away."""
    said, invalid = "", True

    def change(parts: Parts) -> None:
        nonlocal said, invalid
        values = json.loads(parts[MANIFEST])
        first = rng.choice(list(values))  # Hashes are many, so that the first step decides alone.
        *way, last = rng.choice([place for place in _places(values) if place[0] == first])
        inside = values
        for step in way:
            inside = inside[step]
        strange = rng.choice(STRANGE.get(type(inside[last]), STRANGE[dict]))
        if rng.random() < 0.25:
            del inside[last]
            said = "without"
        else:
            inside[last] = strange
            said = f"{strange!r}"[:40]
        place = ".".join(map(str, [*way, last]))
        said += f" at {place}"
        # A class or an exit may be called like a path, and what a run tells of itself is free.
        named = place.startswith(("classes.", "exits.")) and strange in PATHS and not said.startswith("without")
        invalid = not (named or place.startswith("provenance."))
        parts[MANIFEST] = json.dumps(values).encode()

    change_bundle(path, change, rehash=False)
    return said, invalid


def _text(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Damage the manifest's text, or put deep, huge or repeated things into it."""
    deep = rng.choice([100, 5000, 200_000])
    whole = {
        "deep list": b"[" * deep, "deep object": b'{"a":' * deep + b"1" + b"}" * deep, "empty": b"",
        "utf-16": b"\xff\xfe[\x00",
        "long number": b'{"schema": ' + b"7" * 10_000 + b"}", "null": b"null", "text": b"schema: 2",
    }  # fmt: skip
    inside = {
        "repeated": b'"schema": 2, "schema": 2, ', "not a number": b'"note": NaN, ', "infinite": b'"note": 1e999, ',
        "not utf-8": b'"note": "\xff", ', "lone surrogate": b'"note": "\\udc00", ', "unknown": b'"note": 1, ',
    }  # fmt: skip
    how = rng.choice([*whole, *inside])

    def change(parts: Parts) -> None:
        text = parts[MANIFEST]
        parts[MANIFEST] = whole[how] if how in whole else text.replace(b'"schema"', inside[how] + b'"schema"', 1)

    change_bundle(path, change, rehash=False)
    return how, True


def _part(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Damage any part, its hash corrected."""
    said = ""

    def change(parts: Parts) -> None:
        nonlocal said
        name = rng.choice(sorted(parts.keys() - {MANIFEST}))
        data = bytearray(parts[name])
        how = rng.choice(["flip", "cut", "empty", "random", "other"])
        if how == "flip":
            for _ in range(rng.choice([1, 4, 32])):
                data[rng.randrange(min(len(data), rng.choice([64, 512, 1 << 30])))] = rng.randrange(256)
        elif how == "cut":
            del data[rng.randrange(len(data)) :]
        elif how == "other":
            data = bytearray(parts[rng.choice(sorted(parts))])
        else:
            data = bytearray(rng.randbytes(300) if how == "random" else b"")
        parts[name] = bytes(data)
        said = f"{how} in {name}"

    change_bundle(path, change)
    return said, False


def _header(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Write another header before an array, or other labels."""
    said = ""
    odd = [
        "(" * 9000, "{", "{'descr': ", "'\\d'", "\x00", "1if 2else 3", "{**a}", "[" * 500 + "]" * 500, "é" * 70_000,
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "lambda: 0", "f'{1}'", "{'shape': -1}",
    ]  # fmt: skip
    labels = [
        b"\xff",
        b"[NaN]",
        b"[0, 1, null]",
        b"[" * 9000,
        b"[0, 1, 99]",
        b'["0", "1", "2"]',
        b"{}",
        b"[true, 0, 1]",
    ]

    def change(parts: Parts) -> None:
        nonlocal said
        name = rng.choice([one for one in sorted(parts) if one.endswith((".npy", "labels.json"))])
        if name.endswith(".json"):
            parts[name] = rng.choice(labels)
            said = f"{parts[name][:20]!r} in {name}"
            return
        data = parts[name]
        end = data.index(b"\n") + 1
        text = data[10:end].decode("latin1").rstrip()
        number, order = str(rng.choice([0, -1, 7, 2**31, 10**40])), rng.choice(["True", "None", "1", "[]"])
        ways = [
            rng.choice(odd),
            re.sub(r"\d+(?=[,)])", number, text, count=rng.choice([0, 1])),
            text.replace("False", order),
            text.replace("<f4", ">f4").replace("|u1", "|i1"),
            text.replace("<f4", "|V4").replace("|u1", "|O"),
            text.replace("shape", rng.choice(["form", "descr"])),
        ]
        text = rng.choice(ways)
        header = text.encode("latin1", "replace") + b"\n"
        version = rng.choice([b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x09\x09"])
        size = (len(header) % 65536).to_bytes(2, "little") if version[0] == 1 else len(header).to_bytes(4, "little")
        parts[name] = b"\x93NUMPY" + version + size + header + data[end:]
        said = f"{text[:40]!r} in {name}"

    change_bundle(path, change)
    return said, False


EXTREMES = [0, -1, 1, 3, 2**20, 2**31 - 1, 2**31, 2**62, -(2**63)]
OPERATIONS = [
    "Conv",
    "Reshape",
    "Resize",
    "Expand",
    "Tile",
    "Pad",
    "Gather",
    "Slice",
    "Concat",
    "NonZero",
    "TopK",
    "Mystery",
]


def _graph(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Change one thing in an ONNX graph that onnx itself can still write."""
    said = ""

    def change(parts: Parts) -> None:
        nonlocal said
        name = rng.choice([one for one in sorted(parts) if one.endswith(".onnx")])
        model = onnx.load_from_string(parts[name])
        how = rng.choice(list(GRAPH_CHANGES))
        GRAPH_CHANGES[how](model, rng)
        parts[name] = model.SerializeToString()
        said = f"{how} in {name}"

    change_bundle(path, change)
    return said, False


def _attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    found = [one for node in model.graph.node for one in node.attribute if one.ints or one.HasField("i")]
    if not found:
        return _operation(model, rng)
    one = rng.choice(found)
    if one.ints:
        one.ints[rng.randrange(len(one.ints))] = rng.choice(EXTREMES)
    else:
        one.i = rng.choice(EXTREMES)
    return None


def _operation(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(OPERATIONS)


def _wires(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice([one for one in model.graph.node if one.input])
    names = [name for one in model.graph.node for name in (*one.input, *one.output)]
    node.input[rng.randrange(len(node.input))] = rng.choice([*names, "", "nowhere", "\x1b[31m", "x" * 9999])


def _ports(model: onnx.ModelProto, rng: random.Random) -> None:
    port = rng.choice([*model.graph.input, *model.graph.output])
    tensor = port.type.tensor_type
    how = rng.choice(["name", "kind", "size", "rank", "none", "sequence"])
    if how == "name":
        port.name = rng.choice(["photos", "", "logits", "\u202e", "\x1b[2J"])
    elif how == "kind":
        tensor.elem_type = rng.choice([0, 1, 2, 7, 8, 11, 16, 99])
    elif how == "size" and tensor.shape.dim:
        rng.choice(tensor.shape.dim).dim_value = rng.choice(EXTREMES)
    elif how == "rank":
        tensor.shape.dim.add().dim_value = 1
    elif how == "sequence":
        port.type.sequence_type.elem_type.tensor_type.elem_type = 1
    else:
        port.ClearField("type")


def _weights(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    how = rng.choice(["sizes", "kind", "short", "values", "external", "name"])
    if how == "sizes" and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(EXTREMES)
    elif how == "kind":
        tensor.data_type = rng.choice([0, 1, 2, 7, 8, 10, 11, 99])
    elif how == "short":
        tensor.raw_data = tensor.raw_data[:-1]
    elif how == "values":
        size = len(tensor.raw_data) // 4
        tensor.raw_data = np.full(size, rng.choice([np.nan, np.inf, 3e38, 0]), np.float32).tobytes()
    elif how == "external":
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", rng.choice(["/etc/passwd", "../x", "weights.bin"])
    else:
        tensor.name = rng.choice(["", "images", "logits"])


def _inside(model: onnx.ModelProto, rng: random.Random) -> None:
    port = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"])],
        "body",
        [port("turn", TensorProto.INT64, []), port("go", TensorProto.BOOL, [])],
        [port("still", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(helper.make_tensor("for_ever", TensorProto.INT64, [], [2**62]))
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("Loop", ["for_ever", "yes"], [], body=body))


def _nodes(model: onnx.ModelProto, rng: random.Random) -> None:
    nodes = list(model.graph.node)
    how = rng.choice(["drop", "twice", "turned", "none", "domain"])
    if how == "drop":
        del model.graph.node[rng.randrange(len(nodes))]
    elif how == "twice":
        model.graph.node.append(rng.choice(nodes))
    elif how == "domain":
        rng.choice(model.graph.node).domain = rng.choice(["com.microsoft", "com.example", "ai.onnx.ml"])
    else:
        model.graph.ClearField("node")
        model.graph.node.extend(reversed(nodes) if how == "turned" else [])


def _versions(model: onnx.ModelProto, rng: random.Random) -> None:
    if rng.random() < 0.5:
        model.ir_version = rng.choice([0, 1, 99, 2**40])
    else:
        model.opset_import[0].version = rng.choice([0, 1, 7, 99, 2**40])


GRAPH_CHANGES: dict[str, Callable[[onnx.ModelProto, random.Random], None]] = {
    "attribute": _attribute, "operation": _operation, "wires": _wires, "ports": _ports, "weights": _weights,
    "loop": _inside, "nodes": _nodes, "versions": _versions,
}  # fmt: skip
# Each returns what it did, and whether the manifest is certainly invalid now.
LEVELS: dict[str, Callable[[Path, random.Random], tuple[str, bool]]] = {
    "zip": _zip_bytes, "field": _field, "graph": _graph, "part": _part, "header": _header, "text": _text,
}  # fmt: skip
