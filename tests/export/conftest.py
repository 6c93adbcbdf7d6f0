import pytest
from exporting import seasoned, three_exits

from mango_grader.export import Graphs, export_graphs
from mango_grader.models import AnytimeClassifier


@pytest.fixture(scope="session")
def network() -> AnytimeClassifier:
    return seasoned(three_exits())


@pytest.fixture(scope="session")
def graphs(network: AnytimeClassifier) -> Graphs:
    return export_graphs(network)
