"""The page and card templates, and the filters by which they write figures."""

from typing import Any

import jinja2

from mango_grader.report import text
from mango_grader.text import counted


def render(template: str, *, autoescape: bool, **values: Any) -> str:
    """Return a template of this package filled with `values`; raises jinja2.UndefinedError for a name it lacks.

    The page holds no character that UTF-8 cannot write (bytes of odd file names).
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mango_grader.report"),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        percent=text.percent,
        estimate=text.estimate,
        plain=text.plain,
        points=text.points,
        amount=text.amount,
        cell=text.cell,
        counted=counted,
    )
    return text.printable(environment.get_template(template).render(**values))
