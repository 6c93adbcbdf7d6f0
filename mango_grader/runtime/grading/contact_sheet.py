"""The contact sheet: one HTML file with thumbnails by grade, which needs no other file and no network."""

import base64
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType

from mango_grader import files
from mango_grader.errors import ImageError
from mango_grader.runtime.grading.outputs import PAGE_MARK
from mango_grader.runtime.grading.overlay import heat_panel
from mango_grader.runtime.images.decode import decode, scaled
from mango_grader.runtime.inference.records import Record
from mango_grader.text import one_line

THUMBNAIL = (144, 144)
LIMIT = 200
"""Images per group; a larger group shows its least confident ones, and how many it has."""

_VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'

_STYLE = """
:root { color-scheme: light dark }
:root { --ink: #222; --soft: #666; --page: #fafaf7; --card: #fff; --line: #ddd; --empty: #eee }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebe7; --soft: #9aa49d; --page: #151916; --card: #1e2420; --line: #333a35; --empty: #2a312c }
}
* { box-sizing: border-box }
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; background: var(--page); color: var(--ink) }
h1, h2 { overflow-wrap: anywhere }
h2 { margin: 2rem 0 .5rem } h2 small { font-weight: normal; color: var(--soft) }
.grid { display: grid; grid-template-columns: repeat(auto-fill, 162px); gap: .75rem }
figure { margin: 0; padding: 8px; background: var(--card); border: 1px solid var(--line); border-radius: 6px }
figure.review { border: 2px solid #d97706 } figure.error { border: 2px solid #b91c1c }
img, .none { width: 100%; aspect-ratio: 1; object-fit: contain; display: block; background: var(--empty) }
@media (max-width: 480px) {
  body { margin: 1rem .75rem } h1 { font-size: 1.25rem }
  .grid { grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: .5rem }
}
figcaption { margin-top: 4px; overflow-wrap: anywhere; font-size: 12px } figcaption b { font-size: 14px }
"""


def write_sheet(
    path: str | os.PathLike[str],
    records: Iterable[Record],
    classes: Sequence[str],
    title: str,
    review_below: float | None = None,
    heat_maps: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the contact sheet of `records`, atomically: a section per grade, then the errors.

    Args:
        path: of the HTML file.
        records: in any order.
        classes: of the model, in its order, which is that of the sections.
        title: of the page.
        review_below: confidence, 0..1; less sure grades are marked. None marks none.
        heat_maps: PNG of the heat map by the path of its image, shown in place of the image.
    """
    groups = {one: _Group() for one in (*classes, None)}
    for record in records:
        groups[record.grade].add(record)
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f"<!doctype html>\n<html lang=en><meta charset=utf-8>{PAGE_MARK}{_VIEWPORT}\n")
        file.write(f"<title>{escape(title)}</title>\n")
        file.write(f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n")
        file.write("<p>Within each grade the least confident come first.</p>\n")
        for grade, group in groups.items():
            if not group.count:
                continue
            shown = group.shown()
            heading = escape(one_line("Errors" if grade is None else grade))
            part = f", {len(shown)} shown" if len(shown) < group.count else ""
            file.write(f"<h2>{heading} <small>{group.count}{part}</small></h2>\n<div class=grid>\n")
            file.writelines(_figure(record, review_below, heat_maps.get(record.path)) for record in shown)
            file.write("</div>\n")


class _Group:
    """Counts a grade's records and keeps the `LIMIT` least confident."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Record] = []

    def add(self, record: Record) -> None:
        self.count += 1
        self._kept.append(record)
        if len(self._kept) >= 2 * LIMIT:
            self._kept = self.shown()

    def shown(self) -> list[Record]:
        return sorted(self._kept, key=lambda record: (record.confidence or 0.0, record.path))[:LIMIT]


def _figure(record: Record, review_below: float | None, heat_map: str | None) -> str:
    kind = "error" if record.confidence is None else ""
    says = one_line(record.error or "")
    if record.confidence is not None:
        says = f"{record.confidence:.1%}, exit {record.exit}"
        if record.to_review(review_below):
            kind, says = "review", f"{says}, to review"
        if record.warning is not None:
            kind, says = "review", f"{says}; {record.warning}"
    name = escape(one_line(record.path.rsplit(os.sep, 1)[-1]))
    return (
        f'<figure class="{kind}" title="{escape(one_line(record.path))}">{_thumbnail(record.path, heat_map)}'
        f"<figcaption><b>{escape(says)}</b><br>{name}</figcaption></figure>\n"
    )


def _thumbnail(path: str, heat_map: str | None) -> str:
    try:
        if heat_map is None:
            image = decode(path, (255, 255, 255), lambda width, height: scaled(width, height, THUMBNAIL))
        else:
            image = heat_panel(decode(heat_map))
    except ImageError:
        return "<div class=none></div>"
    image.thumbnail(THUMBNAIL)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode("ascii")}">'
