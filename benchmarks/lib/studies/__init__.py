"""What the papers claim of their own methods, asked again on small real data; and how much there is to find."""

from benchmarks.lib.studies.betanas import BETANAS
from benchmarks.lib.studies.dso import DSO
from benchmarks.lib.studies.frame import Study
from benchmarks.lib.studies.mnet import MNET
from benchmarks.lib.studies.ms_ranas import MS_RANAS
from benchmarks.lib.studies.room import ROOM

STUDIES: dict[str, Study] = {"ms-ranas": MS_RANAS, "betanas": BETANAS, "dso": DSO, "mnet": MNET, "room": ROOM}

__all__ = ["STUDIES"]
