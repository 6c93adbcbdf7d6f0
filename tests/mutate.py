"""Damages encoded images of every format that is read, and checks what a grader makes of them.

    python tests/mutate.py images --count 5000 --seed 0        grade them
    python tests/mutate.py images --count 5000 --write DIR     keep them, for whole commands to read

Case i is a function of the seed and i alone. Each is graded from a file (large JPEGs at a reduced size) and from bytes
(in full), in a process of its own that may have `MOST_MEMORY`, and whose standard output and error are watched at the
level of file descriptors: C libraries do not print through Python. A case fails by a raw exception, a reason that is
not one line, a grade that does not follow from the decoded pixels, a printed byte, a crash, or by taking longer than
the limit.
"""

import argparse
import dataclasses
import functools
import io
import random
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bundles import expected, make_bundle
from deepfiles import MAX, pgm, png, tiff
from heic import CLEAR, HEIC
from PIL import Image, features
from workers import answer_each, answers

from mango_grader.errors import ImageError
from mango_grader.runtime.images.decode import ImageSource
from mango_grader.runtime.inference.grader import Grader

LIMIT = 120.0
"""Seconds that one case may take; a machine may be busy."""
MOST_MEMORY = 4096
"""Mebibytes of address space. The largest image that is read has 2**27 pixels, 512 MiB with four channels."""

_COMPRESSIONS = ("tiff_lzw", "jpeg", "packbits", "zstd")


def originals() -> dict[str, bytes]:
    """Return sound encoded images by name: every format, and the variants that have a decoder of their own."""
    image = _photo()
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = (np.asarray(image.convert("L")).astype(np.uint16) << 4) + 7
    colours = np.asarray(image).astype(np.uint16) * 257
    found = {
        "baseline.jpg": _encoded(image, "JPEG", exif=exif),
        "progressive.jpg": _encoded(image, "JPEG", progressive=True),
        "restart.jpg": _encoded(image, "JPEG", restart_marker_blocks=2),
        "cmyk.jpg": _encoded(image.convert("CMYK"), "JPEG"),
        "two.mpo": _encoded(image, "MPO", save_all=True),
        "rgb.png": _encoded(image, "PNG", exif=exif),
        "palette.png": _encoded(image.convert("P"), "PNG", transparency=0),
        "alpha.png": _encoded(image.convert("RGBA"), "PNG"), "deep.png": png(deep, 12), "deep_rgb.png": png(colours),
        "animated.png": _encoded(image, "PNG", save_all=True),
        "flat.png": _encoded(Image.new("1", (2500, 2500)), "PNG"),  # A thousand bytes that become 25 MB.
        "still.gif": _encoded(image, "GIF"), "animated.gif": _encoded(image, "GIF", save_all=True),
        "rgb.bmp": _encoded(image, "BMP"), "palette.bmp": _encoded(image.convert("P"), "BMP"),
        "bare.dib": _encoded(image, "DIB"),
        "one.ico": _encoded(image, "ICO", sizes=[(32, 32)]), "bitmap.ico": _encoded(image, "ICO", bitmap_format="bmp"),
        "rgb.ppm": _encoded(image, "PPM"), "deep.pgm": pgm(deep, 4095), "plain.ppm": _plain(image),
        "float.pfm": _pfm(image),
        "lossy.webp": _encoded(image, "WEBP"), "lossless.webp": _encoded(image, "WEBP", lossless=True, exif=exif),
        "animated.webp": _encoded(image, "WEBP", save_all=True),
        "raw.tif": _encoded(image, "TIFF", exif=exif), "deep.tif": tiff(deep, {MAX: 4095}),
        "deflated.tif": tiff(colours, deflated=True),
        "float.tif": tiff(np.asarray(image.convert("L")).astype(np.float32)),
        "two.tif": _encoded(image, "TIFF", compression="tiff_lzw", save_all=True),
        **{f"{name}.tif": _encoded(image, "TIFF", compression=name) for name in _COMPRESSIONS},
        **{f"{name}.tif": _encoded(image.convert("1"), "TIFF", compression=name) for name in ("group3", "group4")},
        "photo.heic": HEIC, "alpha.heic": CLEAR,
    }  # fmt: skip
    if features.check("jpg_2000"):
        found |= {"rgb.jp2": _encoded(image, "JPEG2000"), "bare.j2k": _encoded(image, "JPEG2000", no_jp2=True)}
    if features.check("avif"):
        found |= {"rgb.avif": _encoded(image, "AVIF"), "animated.avif": _encoded(image, "AVIF", save_all=True)}
    return found


def mutated(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Return `data` damaged by one to four mutations, and their names."""
    names = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        mutation = rng.choice(MUTATIONS)
        names.append(mutation.__name__.strip("_"))
        data = mutation(data, rng) or data
    return data, "+".join(names)


def case(sound: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes, str]:
    """Return the name, the damaged bytes and the mutations of case `number`."""
    rng = random.Random(f"{seed}/{number}")
    name = sorted(sound)[number % len(sound)]
    data, how = mutated(sound[name], rng)
    return name, data, how


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice((1, 3, 30))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _edit_header(data: bytes, rng: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        found[rng.randrange(min(len(found), 256))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(found)


def _set_number(data: bytes, rng: random.Random) -> bytes:
    """Put an extreme number where a length, a size or an offset may stand."""
    code = rng.choice(("<H", ">H", "<I", ">I", "<i"))
    size = struct.calcsize(code)
    value = (
        rng.choice((0, 1, 2, 11_000, 0x7FFF, 0xFFFF, 65500))
        if size == 2
        else rng.choice((0, 1, 11_000, 20_000, 1 << 20, (1 << 31) - 1))
    )
    place = rng.randrange(min(len(data), 512))
    return data[:place] + struct.pack(code, value) + data[place + size :]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def _insert(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 2, 7, 300))) + data[place:]


def _drop(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.choice((1, 4, 50)) :]


def _splice(data: bytes, rng: random.Random) -> bytes:
    """Copy a chunk over another place of the same file."""
    size = rng.randrange(1, max(2, len(data) // 4))
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    return data[:target] + data[source : source + size] + data[target + size :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place : place + rng.choice((8, 64, 400))] * 2 + data[place:]


def _blank(data: bytes, rng: random.Random) -> bytes:
    place, size = rng.randrange(len(data)), rng.choice((4, 16, 256))
    filling = rng.choice((b"\0", b"\xff"))
    return data[:place] + filling * size + data[place + size :]


def _mend_png(data: bytes, rng: random.Random) -> bytes:
    """Change a byte of a PNG chunk and mend its checksum, so that the damage gets beyond it; other formats stay."""
    if not data.startswith(b"\x89PNG") or len(data) < 60:
        return _flip_bits(data, rng)
    place, chunks = 8, []
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], bytearray(data[place + 8 : place + 8 + size])))
        place += 12 + size
    contents = [content for _, content in chunks if content]
    if contents:
        content = rng.choice(contents)
        content[rng.randrange(len(content))] = rng.randrange(256)
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_bits, _edit_header, _edit_header, _set_number, _set_number, _truncate, _insert, _drop, _splice, _repeat,
    _blank, _mend_png,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case: `result` is "graded" or the reason, `failure` what must not happen, or None.

    `peak` is the most mebibytes in memory at once, the process itself included.
    """

    number: int
    name: str
    how: str
    seconds: float
    result: str = ""
    failure: str | None = None
    peak: int = 0


def run(count: int, seed: int, limit: float = LIMIT, first: int = 0) -> Iterator[Outcome]:
    """Grade cases `first` to `first + count - 1`, each within `limit` seconds."""
    sound = originals()

    def command(start: int) -> list[str]:
        return [__file__, "worker", f"--first={start}", f"--count={first + count - start}", f"--seed={seed}"]

    for number, said, seconds in answers(command, first, count, limit):
        name, _, how = case(sound, seed, number)
        values = {"failure": said} if isinstance(said, str) else said
        yield Outcome(number, name, how, seconds=seconds, **values)


def _work(first: int, count: int, seed: int) -> None:
    sound = originals()
    with tempfile.TemporaryDirectory() as folder:
        model = make_bundle(Path(folder, "model.mango"))
        graders = [Grader.load(model, "cpu", "fp32", "full", exact=exact) for exact in (False, True)]

        def grade(number: int) -> dict[str, Any]:
            name, data, _ = case(sound, seed, number)
            path = Path(folder, name)
            path.write_bytes(data)
            found = [_graded(*each) for each in zip(graders, (path, data), strict=True)]
            failures = [failure for _, failure in found if failure is not None]
            return {"result": found[-1][0], "failure": next(iter(failures), None)}

        answer_each((functools.partial(grade, number) for number in range(first, first + count)), MOST_MEMORY)


def _graded(grader: Grader, source: ImageSource) -> tuple[str, str | None]:
    """Grade one image; return "graded" or the reason, and what the record must not say, or None."""
    record = grader.grade(source)
    try:
        prepared = grader.manifest.preprocess.prepare(source, exact=grader.exact)
    except ImageError as error:
        reason = str(error)
        if (record.error, record.grade, record.probabilities) != (reason, None, None):
            return reason, f"does not say that {reason!r} alone: {record}"
        return reason, None if len(reason.strip().splitlines()) == 1 else f"not one line: {reason!r}"
    answer = expected(prepared.pixels[None])[-1, 0]
    if record.error is not None or not np.allclose(record.probabilities, answer, atol=1e-4):
        return "", f"the pixels decode to {answer}: {record}"
    if record.grade != grader.manifest.classes[int(np.argmax(record.probabilities))]:
        return "", f"not the most probable grade: {record}"
    return "graded, with a warning" if record.warning else "graded", None


def _photo() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((64, 48), Image.Resampling.BICUBIC)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    more = [image.rotate(90)] if options.get("save_all") else []
    image.copy().save(buffer, kind, append_images=more, **options)  # Copies: saving leaves options behind.
    return buffer.getvalue()


def _plain(image: Image.Image) -> bytes:
    numbers = " ".join(map(str, np.asarray(image).ravel().tolist()))
    return f"P3\n# plain\n{image.width} {image.height}\n255\n{numbers}\n".encode()


def _pfm(image: Image.Image) -> bytes:
    values = np.asarray(image.convert("L")).astype("<f4") / 255
    return b"Pf\n%d %d\n-1.0\n" % image.size + values.tobytes()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Damage images and grade them.")
    parser.add_argument("what", choices=["images", "worker"])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that a case may take")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the cases into DIR instead of grading them")
    options = parser.parse_args(arguments)
    if options.what == "worker":
        _work(options.first, options.count, options.seed)
        return 0
    if options.write is not None:
        options.write.mkdir(parents=True, exist_ok=True)
        sound = originals()
        for number in range(options.first, options.first + options.count):
            name, data, _ = case(sound, options.seed, number)
            (options.write / f"{number:05}_{name}").write_bytes(data)
        return 0
    outcomes = list(run(options.count, options.seed, options.limit, options.first))
    failed = [one for one in outcomes if one.failure is not None]
    for one in failed:
        print(f"case {one.number}: {one.name}, {one.how}: {one.failure}")
    kinds = Counter("graded" if one.result.startswith("graded") else "reason" for one in outcomes if not one.failure)
    slowest, largest = max(outcomes, key=lambda one: one.seconds), max(outcomes, key=lambda one: one.peak)
    print(f"{len(outcomes)} mutated images of {len(originals())} originals, seed {options.seed}: ", end="")
    print(f"{kinds['graded']} graded, {kinds['reason']} refused with a reason, {len(failed)} failed; ", end="")
    print(f"slowest {slowest.seconds:.2f} s (case {slowest.number}, {slowest.name}, {slowest.how}), ", end="")
    print(f"largest {largest.peak} MiB (case {largest.number}, {largest.name}, {largest.how})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
