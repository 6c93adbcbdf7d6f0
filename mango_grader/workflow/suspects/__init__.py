"""Which labels are probably wrong: `mango-grader data suspects` as a function."""

from mango_grader.workflow.suspects.find import Suspects, SuspectsOptions, find_suspects
from mango_grader.workflow.suspects.ranking import Suspect
from mango_grader.workflow.suspects.write import write_suspects

__all__ = ["Suspect", "Suspects", "SuspectsOptions", "find_suspects", "write_suspects"]
