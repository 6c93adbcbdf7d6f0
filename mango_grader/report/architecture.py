"""A drawing of any NetworkSpec: an SVG in the page's colours."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from mango_grader.models.operations import Operation
from mango_grader.models.spec import IMAGE, NetworkSpec
from mango_grader.report.formatting import amount, percent, shortened
from mango_grader.report.layout import Block, Exit, lay_out
from mango_grader.report.operation_labels import HUES, kernel_of, labels
from mango_grader.training.metrics import ExitMetrics

_PITCH, _WIDTH, _TALLEST, _LOWEST, _LINE = 92, 68, 84, 44, 13
_LINES = 3  # of text in a box
_BELOW, _EXIT_HEIGHT, _LEGEND, _LETTER = 52, 58, 34, 5.6


def draw_architecture(spec: NetworkSpec, exits: Sequence[ExitMetrics] = ()) -> str:
    """Return a drawing of a network as an <svg> element.

    Boxes stand for blocks, from left to right in the order of computation. The hue of a box is that of the costliest
    kind of operation in it, darker for larger kernels; its height is the resolution of the features. Arcs are skips.

    Args:
        spec: the network.
        exits: figures whose accuracies are written at the exits; without any, exits have their multiply-adds alone.
    """
    return _Drawing(spec, exits).svg()


class _Drawing:
    def __init__(self, spec: NetworkSpec, exits: Sequence[ExitMetrics]) -> None:
        self.spec, self.layout, self.measured = spec, lay_out(spec), exits
        spans = [self._column(b.name) - self._column(s) for b in self.layout.blocks.values() for s, _ in b.links]
        self.top = 20 + _arc_height(max(spans)) if max(spans) > 1 else 24
        self.row_pitch = _TALLEST + _BELOW + (_arc_height(2) if self.layout.rows > 1 else 0)
        self.kernels = sorted({kernel_of(block.op) for block in self.layout.blocks.values()} - {0})
        self.kinds = {self._kind(b, source, op) for b in self.layout.blocks.values() for source, op in b.links}

    def svg(self) -> str:
        layout = self.layout
        width = layout.columns * _PITCH + 16
        body = self.top + layout.rows * self.row_pitch
        height = body + _EXIT_HEIGHT + 14 + _LEGEND
        parts = [
            *(self._link(block, source, op) for block in layout.blocks.values() for source, op in block.links),
            *(self._exit(each, body) for each in layout.exits),
            self._image(),
            *(self._block(block) for block in layout.blocks.values()),
            *self._legend(height - _LEGEND / 2),
        ]
        return (
            f'<svg class="architecture" role="img" aria-label="network architecture" viewBox="0 0 {width} {height}"'
            f' style="--full:{round(width)}px">'
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
        heights = [self.spec.input[1], *(block.shape[1] for block in self.layout.blocks.values())]
        least = min(heights)
        own = self.spec.input[1] if name == IMAGE else self.layout.blocks[name].shape[1]
        octaves = math.log2(max(heights) / least) or 1.0
        return _LOWEST + (_TALLEST - _LOWEST) * math.log2(own / least) / octaves

    def _image(self) -> str:
        x, y = self._centre(IMAGE)
        _, height, width = self.spec.input
        tall = self._tall(IMAGE)
        return (
            f'<rect x="{x - 23}" y="{y - tall / 2}" width="46" height="{tall}" rx="6" class="image"/>'
            f"{_text(x, y + 4, 'image', 'name')}{_text(x, y + _TALLEST / 2 + 14, f'{width}×{height}', 'small below')}"
        )

    def _block(self, block: Block) -> str:
        x, y = self._centre(block.name)
        tall = self._tall(block.name)
        channels, height, width = block.shape
        inside = ", ".join(_counted(block)) or "connections only"
        tip = f"{block.name}: {inside}; {amount(sum(block.macs))} multiply-adds"
        below = y + _TALLEST / 2 + 14
        return (
            f'<g class="block"><title>{escape(tip)}</title>'
            f'<rect x="{x - _WIDTH / 2}" y="{y - tall / 2}" width="{_WIDTH}" height="{tall}" rx="7"'
            f' style="fill:{self._fill(block.op)}" class="box"/>{_words(x, y, block)}'
            f"{_text(x, below, f'{channels} × {width}×{height}', 'small below')}"
            f"{_text(x, below + 13, shortened(block.name, 14), 'small faint below')}</g>"
        )

    def _fill(self, op: Operation) -> str:
        hue = HUES.get(op.kind, "card")
        if not kernel_of(op):
            return f"var(--{hue})"
        rank = self.kernels.index(kernel_of(op)) / max(len(self.kernels) - 1, 1)
        return f"color-mix(in oklab, var(--{hue}) {round(22 + 58 * rank)}%, var(--card))"

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
        if op is not None:
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
            if block.parts:
                ops.setdefault(block.op.kind, []).append(block.op)
        x = 16.0
        for kind, members in ops.items():
            by_kernel = {kernel_of(op): op for op in members}
            least, greatest = min(by_kernel), max(by_kernel)
            for kernel in sorted({least, greatest}):
                fill = f'class="box" style="fill:{self._fill(by_kernel[kernel])}"'
                yield f'<rect x="{x}" y="{y - 7}" width="14" height="14" rx="3" {fill}/>'
                x += 18
            label = kind.replace("_", " ") + _sizes(least, greatest)
            yield f'<text x="{x + 2}" y="{y + 4}" class="small dark">{escape(label)}</text>'
            x += 26 + _LETTER * len(label)
        if any(len(block.parts) > 1 for block in self.layout.blocks.values()):
            label = "colour: costliest operation of a block"
            yield f'<text x="{x}" y="{y + 4}" class="small">{label}</text>'
            x += 24 + _LETTER * len(label)
        for kind, label in (("plain", "skip"), ("matched", "skip with 1×1 convolution")):
            if kind in self.kinds:
                yield f'<path class="link {kind}" d="M{x} {y}h22"/>'
                yield f'<text x="{x + 28}" y="{y + 4}" class="small dark">{label}</text>'
                x += 50 + _LETTER * len(label)


def _sizes(least: int, greatest: int) -> str:
    if greatest < 2:
        return ""
    return f", {least}×{least}" + (f" to {greatest}×{greatest}" if greatest > least else "")


def _words(x: float, y: float, block: Block) -> str:
    """Return the kernel of a block's only operation, or a line for each of several kinds of operation."""
    if not block.parts:
        merges = any(len(node.inputs) > 1 for node in block.nodes)
        return _text(x, y + 4, labels(block.op)[0] if merges else "identity", "name")
    if sum(block.parts.values()) == 1:
        first, second = labels(block.op)
        return _text(x, y + (0 if second else 5), first, "kernel") + _text(x, y + 14, second, "small dark")
    lines = _counted(block)
    if len(lines) > _LINES:
        lines[_LINES - 1 :] = [f"+ {len(lines) - _LINES + 1} more"]
    top = y + 4 - _LINE * (len(lines) - 1) / 2
    return "".join(_text(x, top + _LINE * place, line, "small dark") for place, line in enumerate(lines))


def _counted(block: Block) -> list[str]:
    return [f"{count} {name}" for name, count in block.parts.items()]


def _arc_height(span: int) -> float:
    return 14 + 60 * (1 - math.exp(-(span - 1) / 5))


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="middle">{escape(text)}</text>' if text else ""
