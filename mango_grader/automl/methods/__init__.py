"""Search methods: one module each. A new one is exported here, and nowhere else.

The names below are fetched when asked for, and so is each method of `METHODS`: to list the methods costs no torch.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mango_grader.lazy import LazyRegistry, lazy_names

if TYPE_CHECKING:
    from mango_grader.automl.methods.base import MethodSettings, Phase, Round, SearchMethod
    from mango_grader.automl.methods.betanas import BetaNas, BetaNasSettings
    from mango_grader.automl.methods.dso import Dso, DsoSettings
    from mango_grader.automl.methods.enas import Enas, EnasSettings
    from mango_grader.automl.methods.ms_ranas import MsRanas, MsRanasSettings
    from mango_grader.automl.methods.proxylessnas import ProxylessNas, ProxylessNasSettings
    from mango_grader.automl.methods.random import RandomSearch, RandomSettings
    from mango_grader.automl.methods.spos import Spos, SposSettings
    from mango_grader.automl.methods.tnas_g import TnasG, TnasGSettings
    from mango_grader.automl.methods.tnas_os import TnasOs, TnasOsSettings

METHODS: "Mapping[str, type[SearchMethod]]" = LazyRegistry(
    __name__,
    {
        "enas": "enas.Enas",
        "random": "random.RandomSearch",
        "spos": "spos.Spos",
        "tnas-os": "tnas_os.TnasOs",
        "tnas-g": "tnas_g.TnasG",
        "ms-ranas": "ms_ranas.MsRanas",
        "dso": "dso.Dso",
        "betanas": "betanas.BetaNas",
        "proxylessnas": "proxylessnas.ProxylessNas",
    },
)
"""Name → method; a method's `name` is the same."""

__all__ = [
    "METHODS", "BetaNas", "BetaNasSettings", "Dso", "DsoSettings", "Enas", "EnasSettings", "MethodSettings",
    "MsRanas", "MsRanasSettings", "Phase", "ProxylessNas", "ProxylessNasSettings", "RandomSearch", "RandomSettings",
    "Round", "SearchMethod", "Spos", "SposSettings", "TnasG", "TnasGSettings", "TnasOs", "TnasOsSettings",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "base": ("MethodSettings", "Phase", "Round", "SearchMethod"),
        "betanas": ("BetaNas", "BetaNasSettings"),
        "dso": ("Dso", "DsoSettings"),
        "enas": ("Enas", "EnasSettings"),
        "ms_ranas": ("MsRanas", "MsRanasSettings"),
        "proxylessnas": ("ProxylessNas", "ProxylessNasSettings"),
        "random": ("RandomSearch", "RandomSettings"),
        "spos": ("Spos", "SposSettings"),
        "tnas_g": ("TnasG", "TnasGSettings"),
        "tnas_os": ("TnasOs", "TnasOsSettings"),
    },
)


def __dir__() -> list[str]:
    return __all__
