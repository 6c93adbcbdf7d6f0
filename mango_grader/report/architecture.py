"""The network as a picture: an SVG in the page's colours, for any NetworkSpec."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from mango_grader.models.operations import Classifier, Convolution, Operation, Pool, SeparableConvolution, Torchvision
from mango_grader.models.spec import IMAGE, NetworkSpec
from mango_grader.report.layout import Block, Exit, lay_out
from mango_grader.report.text import amount, percent, shortened
from mango_grader.training.metrics import ExitMetrics

_PITCH, _WIDTH, _TALLEST, _LOWEST = 86, 62, 84, 40
_BELOW, _EXIT_HEIGHT, _LEGEND, _LETTER = 52, 58, 34, 5.6


def draw_architecture(spec: NetworkSpec, exits: Sequence[ExitMetrics] = ()) -> str:
    """Return `spec` as an <svg> element; `exits`, if given, add each exit's accuracy to its multiply-adds.

    Boxes run from left to right in the order of computation. Their hue says what kind of operation they are, its
    strength how large the kernel, their height how fine the features; arcs are skip connections.
    """
    return _Drawing(spec, exits).svg()


class _Drawing:
    def __init__(self, spec: NetworkSpec, exits: Sequence[ExitMetrics]) -> None:
        self.spec, self.layout, self.measured = spec, lay_out(spec), exits
        spans = [self._column(b.name) - self._column(s) for b in self.layout.blocks.values() for s, _ in b.links]
        self.top = 20 + _arc_height(max(spans)) if max(spans) > 1 else 24
        self.row_pitch = _TALLEST + _BELOW + (_arc_height(2) if self.layout.rows > 1 else 0)
        kernels = {block.op.kernel for block in self.layout.blocks.values() if isinstance(block.op, _WITH_KERNEL)}
        self.kernels = sorted(kernels)
        self.kinds = {self._kind(b, source, op) for b in self.layout.blocks.values() for source, op in b.links}

    def svg(self) -> str:
        layout = self.layout
        width = layout.columns * _PITCH + 16
        body = self.top + layout.rows * self.row_pitch
        height = body + _EXIT_HEIGHT + 14 + _LEGEND
        parts = [
            *(self._link(block, source, op) for block in layout.blocks.values() for source, op in block.links),
            self._image(),
            *(self._block(block) for block in layout.blocks.values()),
            *(self._exit(each, body) for each in layout.exits),
            *self._legend(height - _LEGEND / 2),
        ]
        return (
            f'<svg class="architecture" role="img" aria-label="network architecture" viewBox="0 0 {width} {height}"'
            f' style="min-width:{round(0.7 * width)}px;max-width:{round(1.25 * width)}px">'
            '<defs><marker id="tip" viewBox="0 0 6 6" refX="5.2" refY="3" markerWidth="6" markerHeight="6"'
            ' orient="auto"><path d="M0 0 6 3 0 6z" fill="context-stroke"/></marker></defs>'
            f"{''.join(parts)}</svg>"
        )

    def _column(self, name: str) -> int:
        return 0 if name == IMAGE else self.layout.blocks[name].column

    def _centre(self, name: str) -> tuple[float, float]:
        row = 0 if name == IMAGE else self.layout.blocks[name].row
        return 8 + (self._column(name) + 0.5) * _PITCH, self.top + row * self.row_pitch + _TALLEST / 2

    def _tall(self, name: str) -> float:
        """Box height: the finer the features, the taller, on a scale of octaves."""
        size = [shape[1] for shape in self.spec.shapes.values() if shape[1] > 1] or [1]
        octaves = math.log2(max(size) / min(size)) or 1.0
        share = math.log2(max(self.spec.shapes[name][1], min(size)) / min(size)) / octaves
        return _LOWEST + (_TALLEST - _LOWEST) * share

    def _image(self) -> str:
        x, y = self._centre(IMAGE)
        _, height, width = self.spec.input
        tall = self._tall(IMAGE)
        return (
            f'<rect x="{x - 23}" y="{y - tall / 2}" width="46" height="{tall}" rx="6" class="image"/>'
            f"{_text(x, y + 4, 'image', 'name')}{_text(x, y + _TALLEST / 2 + 14, f'{width}×{height}', 'small')}"
        )

    def _block(self, block: Block) -> str:
        x, y = self._centre(block.name)
        tall = self._tall(block.name)
        first, second = _labels(block.op)
        channels, height, width = block.shape
        tip = f"{block.name}: {block.op.kind.replace('_', ' ')} {first} {second}, {amount(block.macs)} multiply-adds"
        below = y + _TALLEST / 2 + 14
        return (
            f'<g class="block"><title>{escape(tip)}</title>'
            f'<rect x="{x - _WIDTH / 2}" y="{y - tall / 2}" width="{_WIDTH}" height="{tall}" rx="7"'
            f' style="fill:{self._fill(block.op)}" class="box"/>'
            f"{_text(x, y + (0 if second else 5), first, 'kernel')}{_text(x, y + 14, second, 'small dark')}"
            f"{_text(x, below, f'{channels} × {width}×{height}', 'small')}"
            f"{_text(x, below + 13, shortened(block.name, 12), 'small faint')}</g>"
        )

    def _fill(self, op: Operation) -> str:
        if not isinstance(op, _WITH_KERNEL):
            return f"var(--{_HUES.get(op.kind, 'card')})"
        rank = self.kernels.index(op.kernel) / max(len(self.kernels) - 1, 1)
        return f"color-mix(in oklab, var(--{_HUES[op.kind]}) {round(22 + 58 * rank)}%, var(--card))"

    def _link(self, block: Block, source: str, op: Operation | None) -> str:
        (x0, y0), (x1, y1) = self._centre(source), self._centre(block.name)
        span = block.column - self._column(source)
        kind = self._kind(block, source, op)
        if kind == "chain":
            half = 23 if source == IMAGE else _WIDTH / 2
            path = f"M{x0 + half} {y0}H{x1 - _WIDTH / 2 - 2}"
        elif y0 == y1:
            y0, y1 = y0 - self._tall(source) / 2, y1 - self._tall(block.name) / 2 - 2
            crest = min(y0, y1) - 1.33 * _arc_height(span if not block.row else min(span, 2))
            path = f"M{x0 + 12} {y0}C{x0 + 20} {crest} {x1 - 20} {crest} {x1 - 12} {y1}"
        else:
            x0, x1 = x0 + _WIDTH / 2, x1 - _WIDTH / 2 - 2
            path = f"M{x0} {y0}C{x0 + 18} {y0} {x1 - 18} {y1} {x1} {y1}"
        return f'<path class="link {kind}" d="{path}" marker-end="url(#tip)"><title>{escape(source)}</title></path>'

    def _kind(self, block: Block, source: str, op: Operation | None) -> str:
        """A step along the chain, a skip as it is, or one that a convolution matches."""
        if op is not None and op.macs([self.spec.shapes[source]]):
            return "matched"
        row = 0 if source == IMAGE else self.layout.blocks[source].row
        return "chain" if row == block.row and block.column - self._column(source) == 1 else "plain"

    def _exit(self, each: Exit, top: float) -> str:
        x, y = self._centre(each.block)
        accuracy = next((m.accuracy for m in self.measured if m.exit == each.number), None)
        share = "" if accuracy is None else percent(accuracy.value)
        return (
            f'<path class="link out" d="M{x} {y + _TALLEST / 2 + 32}V{top - 2}" marker-end="url(#tip)"/>'
            f'<rect x="{x - 41}" y="{top}" width="82" height="{_EXIT_HEIGHT}" rx="9" class="exit"/>'
            f"{_text(x, top + 17, f'exit {each.number}', 'name')}"
            f"{_text(x, top + 33, f'{amount(each.macs)} MACs', 'small')}"
            f"{_text(x, top + 49, share, 'share')}"
        )

    def _legend(self, y: float) -> Iterator[str]:
        """Yield a swatch and a word for each kind of operation and of skip, side by side."""
        ops: dict[str, list[Operation]] = {}
        for block in self.layout.blocks.values():
            ops.setdefault(block.op.kind, []).append(block.op)
        x = 16.0
        for kind, members in ops.items():
            by_kernel = {_kernel(op): op for op in members}
            least, greatest = min(by_kernel), max(by_kernel)
            for kernel in sorted({least, greatest}):
                fill = f'class="box" style="fill:{self._fill(by_kernel[kernel])}"'
                yield f'<rect x="{x}" y="{y - 7}" width="14" height="14" rx="3" {fill}/>'
                x += 18
            label = kind.replace("_", " ") + _sizes(least, greatest)
            yield f'<text x="{x + 2}" y="{y + 4}" class="small dark">{escape(label)}</text>'
            x += 26 + _LETTER * len(label)
        for kind, label in (("plain", "skip"), ("matched", "skip with 1×1 convolution")):
            if kind in self.kinds:
                yield f'<path class="link {kind}" d="M{x} {y}h22"/>'
                yield f'<text x="{x + 28}" y="{y + 4}" class="small dark">{label}</text>'
                x += 50 + _LETTER * len(label)


_WITH_KERNEL = (Convolution, SeparableConvolution, Pool)
_HUES = {"separable_convolution": "mango", "convolution": "leaf", "pool": "soft", "torchvision": "wash"}


def _kernel(op: Operation) -> int:
    return op.kernel if isinstance(op, _WITH_KERNEL) else 0


def _sizes(least: int, greatest: int) -> str:
    if greatest < 2:
        return ""
    return f", {least}×{least}" + (f" to {greatest}×{greatest}" if greatest > least else "")


def _labels(op: Operation) -> tuple[str, str]:
    """Return what a box says: its kernel, and what is special about it."""
    if isinstance(op, _WITH_KERNEL):
        dilation = op.dilation if not isinstance(op, Pool) else 1
        marks = [f"dil {dilation}"] * (dilation > 1) + [f"↓{op.stride}"] * (op.stride > 1)
        return f"{op.kernel}×{op.kernel}", " ".join(marks)
    if isinstance(op, Torchvision):
        return "net", ""
    return ("classify", "") if isinstance(op, Classifier) else (op.kind, "")


def _arc_height(span: int) -> float:
    return 14 + 60 * (1 - math.exp(-(span - 1) / 5))


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="middle">{escape(text)}</text>' if text else ""
