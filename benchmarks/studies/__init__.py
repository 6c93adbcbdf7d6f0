"""What the papers claim of their own methods, asked again on small real data; and how much there is to find."""

from studies.betanas import BETANAS
from studies.dso import DSO
from studies.frame import Study
from studies.mnet import MNET
from studies.ms_ranas import MS_RANAS
from studies.room import ROOM

STUDIES: dict[str, Study] = {"ms-ranas": MS_RANAS, "betanas": BETANAS, "dso": DSO, "mnet": MNET, "room": ROOM}

__all__ = ["STUDIES"]
