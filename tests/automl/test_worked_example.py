"""The method of docs/contributing/add-a-method.md, as it is printed there."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from mango_grader.automl.evaluate import SearchProblem, Tabular
from mango_grader.automl.methods import SearchMethod
from mango_grader.automl.search import Search
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.progress import SilentProgress

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "add-a-method.md"


def printed() -> dict[str, Any]:
    (listing,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "halving"}
    exec(compile(listing, str(PAGE), "exec"), names)
    return names


def test_the_printed_method_finds_the_best_of_its_population(tmp_path: Path) -> None:
    names = printed()
    config = LayerwiseConfig(12, 12, 2, depth=2, channels=8, kernels=(3, 5), dilations=(1,), exits=(1, 2))
    space = SearchSpace(config)
    rng = np.random.default_rng(0)
    everything = {space.sample(rng) for _ in range(400)}
    table = Tabular({architecture: float(rng.random()) for architecture in everything})
    settings = names["HalvingSettings"](epochs=1, population=8, batches=2)
    method: SearchMethod = names["Halving"](space, lambda _: True, settings)
    found = Search(method, SearchProblem(space), table, 1, checkpoint=tmp_path / "search").run(SilentProgress())
    resumed: SearchMethod = names["Halving"](space, lambda _: True, settings)
    again = Search(resumed, SearchProblem(space), table, 1, checkpoint=tmp_path / "search").run(SilentProgress())
    assert again == found
    chosen = space.frequencies([found])
    assert all((resumed.preference()[name] == share).all() for name, share in chosen.items()), "one is left"
    drawn = names["UniformSampler"](space, lambda _: True).ask(np.random.default_rng([1, 1]), 8)
    assert table.score(found) == max(map(table.score, drawn))
