"""Photos of one fruit that were found count as one, in evaluations and after a kill before the split was written."""

from pathlib import Path

import pytest
from fruit_scenes import write_spotted

from mango_grader.datasets import pack, read_dataset
from mango_grader.datasets.cache import fingerprints
from mango_grader.datasets.record import DataRecord
from mango_grader.errors import MangoError
from mango_grader.files import read_json, write_json
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Preprocess
from mango_grader.workflow.answering import graded_images


@pytest.mark.parametrize(("group_by", "groups"), [(None, 16), ("none", 18), (r"re:^\d", 10)])
def test_an_evaluation_groups_what_was_found_unless_told(tmp_path: Path, group_by: str | None, groups: int) -> None:
    images = graded_images(read_dataset(write_spotted(tmp_path), group_by), None, SilentProgress())
    assert len(set(images.groups)) == groups


def test_a_record_keeps_how_groups_are_known(tmp_path: Path) -> None:
    root, record = write_spotted(tmp_path / "data"), tmp_path / "data.json"
    for group_by, grouping in ((None, "found"), ("none", "none"), (r"re:^\d", "given")):
        data = read_dataset(root, group_by)
        prints = fingerprints(root, data.paths)
        DataRecord.of(data, prints, pack(data, Preprocess(32, 32), tmp_path / "cache")).save(record)
        assert DataRecord.load(record).dataset(root).grouping == grouping
    values = read_json(record)
    write_json(record, {name: value for name, value in values.items() if name != "grouping"})
    assert DataRecord.load(record).dataset(root).grouping == "given"  # as earlier versions split
    write_json(record, {**values, "grouping": "guessed"})
    with pytest.raises(MangoError, match="guessed"):
        DataRecord.load(record)
