"""How Sphinx builds this site: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from mango_grader import __version__
from mango_grader.runtime.inference.verify import ORIGINAL_TOLERANCE, PIXEL_TOLERANCE, TOLERANCE

project = "mango-grader"
author = "The mango-grader authors"
copyright = "the mango-grader authors"  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "docstring_markup",
    "mathml",
    "notebook_kernels",
    "settings_reference",
    "line_reference",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

# Pages are Markdown. Headings down to the third level are link targets; a link that leads nowhere is a warning.
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {
    "tolerance_cpu": TOLERANCE["cpu"],
    "tolerance_cuda": TOLERANCE["cuda"],
    "tolerance_pixel": PIXEL_TOLERANCE,
    "tolerance_original": ORIGINAL_TOLERANCE,
}
nb_execution_mode = "force"
nb_execution_timeout = 600  # seconds a cell; on an idle core they take ten
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_execution_in_temp = True

# Docstrings are Google style; single backticks are code, as in the source.
default_role = "literal"
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100

# Types in signatures become links where the site documents them; it is no fault that most are not there.
nitpick_ignore_regex = [("py:.*", ".*")]

# Options begin with two hyphens, which smart quotes would turn into a dash.
smartquotes = False

html_theme = "furo"
html_title = "mango-grader"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
