"""How figures are written, one way in pages, cards and drawings, and the templates that are filled with them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2

from mango_grader import __version__
from mango_grader.text import counted, printable_path
from mango_grader.training.bootstrap import Difference, Estimate


def percent(share: float) -> str:
    """0.8667 → 86.7 %."""
    return f"{100 * share:.1f} %"


def estimate(value: Estimate | None) -> str:
    """Return a share with its interval: 86.7 % (80.1 to 92.4); a dash for None."""
    if value is None:
        return "–"
    return percent(value.value) + interval(value, 100, ".1f")


def plain(value: Estimate | None) -> str:
    """Return a figure with its interval: 0.812 (0.740 to 0.871); a dash for None."""
    return "–" if value is None else f"{value.value:.3f}" + interval(value, 1, ".3f")


def interval(value: Estimate | Difference, scale: float, form: str) -> str:
    """Return the bounds of a figure as " (low to high)"; an empty text where it has none.

    Args:
        value: the figure.
        scale: by which its bounds are multiplied.
        form: format of each bound, such as ".1f".
    """
    if value.low is None or value.high is None:
        return ""
    return f" ({value.low * scale:{form}} to {value.high * scale:{form}})"


def points(value: Difference) -> str:
    """Return a difference of shares in points: +1.2 points (−0.3 to +2.6)."""
    text = f"{100 * value.value:+.1f} points" + interval(value, 100, "+.1f")
    return text.replace("-", "−")


def amount(count: float) -> str:
    """20406528 → 20.4 M: three figures."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(count) >= limit:
            scaled = count / limit
            return f"{scaled:.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f}{unit}"
    return f"{count:.0f}"


def shortened(text: str, letters: int) -> str:
    """Return a text on one line, its beginning cut off if it is too long.

    Args:
        text: any text; line breaks become spaces.
        letters: how many characters are allowed.
    """
    line = " ".join(text.split())
    return line if len(line) <= letters else f"…{line[1 - letters :]}"


def field(text: str) -> str:
    """Return `text` as one value of a Markdown table or one item of a list."""
    return " ".join(text.split()).replace("|", r"\|")


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as dotted names and short texts.

    Args:
        settings: nested mappings of plain values.
        prefix: put before each name.
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield f"{prefix}{name}", ", ".join(_shown(item) for item in value)
        else:
            yield f"{prefix}{name}", _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def render(template: str, *, autoescape: bool, **values: Any) -> str:
    """Return a template of this package, filled in.

    Bytes of file names that are not UTF-8 are written as escapes.

    Args:
        template: file name of the template.
        autoescape: whether values are escaped for HTML.
        **values: what the template names, besides `version`.

    Raises:
        jinja2.UndefinedError: the template names a value that is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mango_grader.report"),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        percent=percent,
        estimate=estimate,
        plain=plain,
        points=points,
        amount=amount,
        field=field,
        counted=counted,
        flat=lambda settings: list(flat(settings)),
    )
    return printable_path(environment.get_template(template).render(version=__version__, **values))
