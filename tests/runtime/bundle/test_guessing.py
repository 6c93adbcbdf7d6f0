"""A model that is no better than guessing says so."""

import json

import pytest

from mango_grader.runtime.bundle.guessing import MIN_GROUPS, Guessing


@pytest.mark.parametrize(
    ("low", "commonest", "groups", "verdict"),
    [
        (0.36, 0.348, 320, "better"),
        (0.348, 0.348, 320, "guessing"),
        (0.30, 0.348, 320, "guessing"),
        (0.9, 0.3, MIN_GROUPS - 1, "too few"),
        (0.9, 0.3, MIN_GROUPS, "better"),
        (None, 0.3, 1, "too few"),
    ],
)
def test_the_interval_must_clear_the_commonest_class(
    low: float | None, commonest: float, groups: int, verdict: str
) -> None:
    found = Guessing(0.9, low, commonest, groups, groups)
    assert found.verdict == verdict
    assert ("NO BETTER THAN GUESSING" in str(found)) == (verdict == "guessing")
    assert "\n" not in str(found)
    assert Guessing.from_provenance(json.loads(json.dumps({"guessing": found.to_dict()}))) == found


SOUND = Guessing(0.9, 0.8, 0.3, 40, 40).to_dict()


@pytest.mark.parametrize(
    "told",
    [
        *(None, "better", {}, [], {"accuracy": 1}),
        *({**SOUND, "low": "x"}, {**SOUND, "accuracy": True}, {**SOUND, "commonest": 1.5}, {**SOUND, "more": 1}),
        *({**SOUND, "groups": -1}, {**SOUND, "images": 1.5}, {**SOUND, "low": float("nan")}),
    ],
)
def test_what_a_bundle_tells_unsoundly_of_it_is_not_believed(told: object) -> None:
    assert Guessing.from_provenance({"guessing": told}) is None
    assert Guessing.from_provenance({}) is None
    assert Guessing.from_provenance({"guessing": SOUND}) is not None
