"""Notebooks run in kernels whose channels are encrypted, and without a line for each kernel that starts."""

import logging
from functools import partial

from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.execute import direct
from sphinx.application import Sphinx
from traitlets.config import Config

_ENCRYPTED = Config({"KernelManager": {"transport_encryption": "required"}})


def setup(app: Sphinx) -> dict[str, bool]:
    """Give myst-nb, which has no setting for it, that way to run a notebook."""
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    direct.single_nb_execution = partial(single_nb_execution, config=_ENCRYPTED)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
