"""What a page's mark-up and style say about phones, so that no test needs a browser."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

PHONE = 390
"""Pixels across, of which a page's own margins leave at least 320."""

_VOID = {"meta", "img", "br"}


@dataclass(frozen=True)
class Element:
    """A tag with its attributes, and the elements around it from the outermost on."""

    tag: str
    attributes: dict[str, str]
    around: tuple["Element", ...]

    @property
    def kinds(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())


class Page(HTMLParser):
    """All elements of a page and the text of its style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.style = ""
        self._open: list[Element] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1].tag == "style":
            self.style += data

    def rules(self, selector: str) -> str:
        """Return the declarations of every rule one of whose selectors is `selector`."""
        found = re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"@media[^{]*\{", "", self.style))
        return ";".join(body for names, body in found if selector in [name.strip() for name in names.split(",")])


def check_fits_a_phone(html: str) -> None:
    """Assert what keeps a page as wide as a phone and its words whole."""
    page = Page(html)
    (viewport,) = [each.attributes["content"] for each in page.elements if each.attributes.get("name") == "viewport"]
    assert viewport == "width=device-width, initial-scale=1"
    for table in (each for each in page.elements if each.tag == "table"):
        assert any("wide" in each.kinds for each in table.around), "a table scrolls in a box of its own"
    if any(each.tag == "table" for each in page.elements):
        assert "overflow-x: auto" in page.rules(".wide")
    for cells in ("td", "th"):
        broken = re.search(r"overflow-wrap: *anywhere|break-all|break-word", page.rules(cells))
        assert broken is None, "names in cells are not broken by letters"
    assert "overflow-wrap: anywhere" in page.rules("h1"), "a title of one long word does not widen the page"
    for width in re.findall(r"(?<![-\w])(?:min-)?width: *(\d+)px", re.sub(r"@media[^{]*", "", page.style)):
        assert int(width) < 320, "no fixed width is wider than a phone"
    for svg in (each for each in page.elements if each.tag == "svg"):
        assert "width" not in svg.attributes, "drawings scale"
        boxed = any("wide" in each.kinds for each in svg.around)
        assert boxed or "plot" in svg.kinds, "what does not shrink scrolls in a box of its own"


def chart_text_sizes(html: str, width: float) -> list[float]:
    """Return the size in pixels of every text in the charts of a phone, each chart `width` pixels across."""
    sizes = []
    for svg in re.findall(r'<svg class="plot narrow".*?</svg>', html, re.DOTALL):
        across = re.search(r'viewBox="0 0 ([\d.]+)', svg)
        assert across is not None
        sizes += [float(size) * width / float(across[1]) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
    return sizes
