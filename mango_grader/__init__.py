"""mango-grader: search, train and run compact anytime classifiers for your own fruit.

The names below are fetched when asked for: importing this package costs neither torch nor onnxruntime.
"""

from typing import TYPE_CHECKING

from mango_grader.lazy import lazy_names

if TYPE_CHECKING:
    from mango_grader.datasets import Dataset, read_dataset
    from mango_grader.runtime import Grader, Record
    from mango_grader.workflow.evaluate import EvaluateOptions, evaluate
    from mango_grader.workflow.options import SearchOptions, TrainOptions
    from mango_grader.workflow.search import search
    from mango_grader.workflow.train import train

__version__ = "0.1.0"

__all__ = [
    "Dataset", "EvaluateOptions", "Grader", "Record", "SearchOptions", "TrainOptions", "__version__", "evaluate",
    "read_dataset", "search", "train",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "datasets": ("Dataset", "read_dataset"),
        "runtime": ("Grader", "Record"),
        "workflow.options": ("SearchOptions", "TrainOptions"),
        "workflow.evaluate": ("EvaluateOptions", "evaluate"),
        "workflow.search": ("search",),
        "workflow.train": ("train",),
    },
)


def __dir__() -> list[str]:
    return __all__
