"""The three real sets, where they are present: what is known of them must be found in them."""

from dataclasses import replace

import numpy as np
import pytest
from photos import real_data

from mango_grader.datasets import make_split, read_dataset
from mango_grader.datasets.inspection import inspect_dataset, inspect_folder
from mango_grader.datasets.inspection.checks import Duplicates, Shortcut, Unusable
from mango_grader.datasets.scan import scan


def test_mango_lesions() -> None:
    data = replace(read_dataset(real_data("mango_lesions"), "groups.csv:group"), grouping="none")
    seen = inspect_dataset(data, scan(data))
    assert (seen.images, seen.groups, len(seen.classes), seen.ordinal) == (676, 646, 5, False)
    assert seen.check(Unusable).unreadable == ()
    assert len(seen.check(Duplicates).exact) == 9
    assert seen.check(Duplicates).across_groups == ()
    assert seen.check(Shortcut).probe is not None
    assert 0.40 < seen.check(Shortcut).probe.accuracy < 0.58
    assert seen.check(Shortcut).probe.majority == pytest.approx(159 / 676)
    assert any(line.startswith("shortcut") for line in seen.findings)


def test_known_near_duplicates_are_found_without_their_groups() -> None:
    seen = inspect_folder(real_data("mango_lesions"), "none")
    given = read_dataset(real_data("mango_lesions"), "groups.csv:group")
    group_of = {item.path: item.group for item in given.items}
    for found in (*seen.check(Duplicates).exact, *seen.check(Duplicates).near):
        assert len({group_of[path] for path in found}) == 1
    assert 646 <= seen.groups <= 665


def test_aicup_sample() -> None:
    seen = inspect_folder(real_data("aicup_mango_sample"))
    assert [(count.name, count.images) for count in seen.classes] == [("A", 11), ("B", 27), ("C", 27)]
    assert seen.ordinal
    assert seen.check(Duplicates).exact == seen.check(Duplicates).near == seen.check(Unusable).unreadable == ()


def test_tomatoes_are_split_by_fruit() -> None:
    data = read_dataset(real_data("tomato_grades"), "fruit_id")
    assert (len(data.items), len(set(data.groups)), data.classes) == (4755, 72, ("A", "B", "C"))
    split = make_split(data, 0)
    parts = [set(part) for part in (split.train, split.val, split.test)]
    fruits = [{data.groups[index] for index in part} for part in parts]
    assert sum(map(len, fruits)) == 72
    for part, share in zip(parts, (0.65, 0.15, 0.20), strict=True):
        counts = np.bincount(data.labels[list(part)], minlength=3)
        assert np.abs(counts / np.bincount(data.labels) - share).max() < 0.06
