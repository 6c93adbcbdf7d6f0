"""Neural architecture search: spaces, super nets, costs, objectives, methods and the one loop.

The names below are fetched when asked for. All methods and spaces are in `automl.methods` and `automl.spaces`.
"""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.automl.architecture import Architecture
    from mango_grader.automl.evaluate import SearchProblem
    from mango_grader.automl.limits import Limits
    from mango_grader.automl.objective import Objective
    from mango_grader.automl.search import Search, build_search
    from mango_grader.automl.search_space import SearchSpace
    from mango_grader.automl.shared import SearchData

__all__ = [
    "Architecture", "Limits", "Objective", "Search", "SearchData", "SearchProblem", "SearchSpace", "build_search",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "architecture": ("Architecture",),
        "evaluate": ("SearchProblem",),
        "limits": ("Limits",),
        "objective": ("Objective",),
        "search": ("Search", "build_search"),
        "search_space": ("SearchSpace",),
        "shared": ("SearchData",),
    },
)


def __dir__() -> list[str]:
    return __all__
