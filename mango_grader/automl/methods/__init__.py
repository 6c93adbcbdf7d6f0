"""Search methods: one module each. A new one is exported here, and nowhere else."""

from collections.abc import Mapping

from mango_grader.automl.methods.base import MethodSettings, Phase, Round, SearchMethod
from mango_grader.automl.methods.betanas import BetaNas, BetaNasSettings
from mango_grader.automl.methods.dso import Dso, DsoSettings
from mango_grader.automl.methods.enas import Enas, EnasSettings
from mango_grader.automl.methods.ms_ranas import MsRanas, MsRanasSettings
from mango_grader.automl.methods.random import RandomSearch, RandomSettings
from mango_grader.automl.methods.spos import Spos, SposSettings
from mango_grader.automl.methods.tnas_g import TnasG, TnasGSettings
from mango_grader.automl.methods.tnas_os import TnasOs, TnasOsSettings

METHODS: Mapping[str, type[SearchMethod]] = {
    method.name: method for method in (Enas, RandomSearch, Spos, TnasOs, TnasG, MsRanas, Dso, BetaNas)
}

__all__ = [
    "METHODS", "BetaNas", "BetaNasSettings", "Dso", "DsoSettings", "Enas", "EnasSettings", "MethodSettings",
    "MsRanas", "MsRanasSettings", "Phase", "RandomSearch", "RandomSettings", "Round", "SearchMethod", "Spos",
    "SposSettings", "TnasG", "TnasGSettings", "TnasOs", "TnasOsSettings",
]  # fmt: skip
