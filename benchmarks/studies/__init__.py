"""What the papers claim of their own methods, asked again on small real data: a module for each paper."""

from studies.betanas import BETANAS
from studies.dso import DSO
from studies.frame import Study
from studies.mnet import MNET
from studies.ms_ranas import MS_RANAS

STUDIES: dict[str, Study] = {"ms-ranas": MS_RANAS, "betanas": BETANAS, "dso": DSO, "mnet": MNET}

__all__ = ["STUDIES"]
