"""What a search came to prefer, as tables: a row a decision, a column a candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Preferences = Mapping[str, Mapping[str, float]]

_MOST_ROWS = 40


@dataclass(frozen=True)
class PreferenceTable:
    """Decisions among the same candidates. rows: name, chosen candidates, and each one's preference in [0, 1]."""

    candidates: tuple[str, ...]
    rows: tuple[tuple[str, frozenset[str], tuple[float, ...]], ...]
    left_out: int


def preference_tables(preferences: Preferences, choices: Mapping[str, Sequence[str]]) -> tuple[PreferenceTable, ...]:
    """Return one table for each set of candidates; long ones keep their first rows and say how many more there are."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for decision, shares in preferences.items():
        alike.setdefault(tuple(shares), []).append(decision)
    return tuple(
        PreferenceTable(
            candidates,
            tuple(
                (name, frozenset(choices.get(name, ())), tuple(preferences[name].values()))
                for name in decisions[:_MOST_ROWS]
            ),
            max(0, len(decisions) - _MOST_ROWS),
        )
        for candidates, decisions in alike.items()
    )
