"""Equations as MathML, which browsers draw themselves: no script, nothing fetched from elsewhere."""

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

_logger = logging.getLogger(__name__)


def _written(node: nodes.Element, as_block: bool) -> str:
    try:
        written: str = tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        _logger.warning("equation %r: %s", node.astext(), error, location=node)
        return ""
    return written


def _inline(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append(_written(node, as_block=False))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append(f'<div class="math">{_written(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer under the name that `html_math_renderer` asks for."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
