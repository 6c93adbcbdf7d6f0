"""What may be done to a bundle: one function a level, each damages the file at a path by a random generator."""

import json
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bundles import change_bundle
from graph_mutations import EXTREMES, GRAPH_CHANGES

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


def _entries(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Write a ZIP whose list of parts is wrong: other names, parts twice, compressed, elsewhere or too large."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    place = rng.randrange(len(parts))
    name, content = parts[place]
    how = rng.choice(["name", "twice", "without", "more", "compressed", "shared", "size", "flag", "comment", "method"])
    strange = rng.choice([*PATHS, " ", ".", "a\\b", f"./{name}", f"{name}/", name.upper(), "x" * 60_000, "\u202e"])
    if how == "name":
        parts[place] = strange, content
    elif how == "twice":
        parts.append((name, rng.choice([content, b"", b"other"])))
    elif how == "without":
        del parts[place]
    elif how == "more":
        parts.extend((f"{strange}{number}", b"") for number in range(rng.choice([1, 10, 2000])))
    kind = zipfile.ZIP_DEFLATED if how == "compressed" else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", kind) as archive:
        warnings.simplefilter("ignore")
        for one in parts:
            archive.writestr(*one)
        archive.comment = rng.randbytes(99) if how == "comment" else b""
    data = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(rb"PK\x01\x02", data)]
    one, other = rng.choice(starts), rng.choice(starts)
    if how == "shared":
        data[one + 42 : one + 46] = data[other + 42 : other + 46]
    elif how == "size":
        data[one + 20 : one + 28] = struct.pack("<LL", *[rng.choice([0, 1, 1 << 31, (1 << 32) - 1])] * 2)
    elif how in ("flag", "method"):
        data[one + (8 if how == "flag" else 10)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"{how} at {name}", False


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


def _may_lack(place: str) -> bool:
    """Return whether a place of the manifest may be missing: what a run tells of itself, or one of several policies."""
    return place.startswith("provenance.") or place == "policies.threshold"


def _may_be(place: str, value: Any) -> bool:
    """Return whether a place of the manifest may hold a strange value."""
    if place.startswith("provenance"):  # What a run tells of itself is free.
        return isinstance(value, dict) or "." in place
    if place.startswith("prices."):  # What an answer earns is a negative price; nobody may be there to ask.
        return value == -1.0 or (place == "prices.review" and value is None)
    # A class or an exit may be called like a path. Which policy is known is not for the manifest to say.
    named = place.startswith(("classes.", "exits.", "default_policy")) and value in PATHS
    return named or (place, value) == ("prices", None)


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
        gone = said.startswith("without")
        invalid = not (_may_lack(place) if gone else _may_be(place, strange))
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


def _values(path: Path, rng: random.Random) -> tuple[str, bool]:
    """Put extremes into an array whose header stays."""
    said = ""

    def change(parts: Parts) -> None:
        nonlocal said
        name = rng.choice([one for one in sorted(parts) if one.endswith(".npy")])
        data = bytearray(parts[name])
        start = data.index(b"\n") + 1
        kind = "<i4" if b"<i4" in data[:start] else "<f4" if b"<f4" in data[:start] else "|u1"
        values = np.frombuffer(data, kind, offset=start)
        numbers = [np.nan, np.inf, -1.0, 2.0, 3e38, 1e-45] if kind == "<f4" else [0, 255, 7]
        numbers = [one % (1 << 32) for one in EXTREMES] if kind == "<i4" else numbers
        for _ in range(rng.choice([1, 3, len(values)])):
            number = np.array(rng.choice(numbers)).astype(np.uint32 if kind == "<i4" else kind)
            values[rng.randrange(len(values))] = number.view(np.int32) if kind == "<i4" else number
        parts[name] = bytes(data)
        said = f"extremes in {name}"

    change_bundle(path, change)
    return said, False


# Each returns what it did, and whether the manifest is certainly invalid now.
LEVELS: dict[str, Callable[[Path, random.Random], tuple[str, bool]]] = {
    "zip": _zip_bytes, "field": _field, "graph": _graph, "part": _part, "header": _header, "text": _text,
    "entries": _entries, "values": _values,
}  # fmt: skip
