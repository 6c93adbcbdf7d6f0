"""What a search decided: an architecture as plain data, without weights, as `architecture.json` holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mango_grader.automl.graph import Choices
from mango_grader.automl.spaces import SPACES, SpaceConfig


@dataclass(frozen=True)
class Architecture:
    """The choices of one architecture.

    Attributes:
        space: settings of the space that it is of.
        choices: by decision name, the chosen candidates in candidate order.
    """

    space: SpaceConfig
    choices: Choices

    def __hash__(self) -> int:
        return hash((self.space, tuple(sorted(self.choices.items()))))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe plain data."""
        return {"space": self.space.to_dict(), "choices": {name: list(chosen) for name, chosen in self.choices.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Architecture":
        """Rebuild from the data of `to_dict`.

        Raises:
            ValueError: a choice is missing, unknown or not legal.
        """
        choices = {name: tuple(chosen) for name, chosen in data["choices"].items()}
        space = space_from_dict(data["space"])
        return cls(space, choices).within(space)

    def within(self, space: SpaceConfig) -> "Architecture":
        """Return the same choices in another space, such as a deeper or a wider one, if they fit it.

        Args:
            space: settings of that space.

        Raises:
            ValueError: a choice is missing, unknown or not legal there.

        Example:
            ```python
            from dataclasses import replace

            import numpy as np
            from mango_grader.automl import SearchSpace
            from mango_grader.automl.spaces import NasnetConfig

            small = NasnetConfig(height=32, width=32, classes=2, depth=3, reduce_at=(2,), exits=(3,))
            found = SearchSpace(small).sample(np.random.default_rng(0))
            larger = found.within(replace(small, depth=5, exits=(5,)))
            ```
        """
        decisions = {decision.name: decision for decision in space.decisions()}
        if unequal := sorted(set(self.choices) ^ set(decisions)):
            shown = ", ".join(unequal[:3]) + (f" and {len(unequal) - 3} more" if len(unequal) > 3 else "")
            raise ValueError(f"decisions that do not fit the space: {shown}")
        for name, chosen in self.choices.items():
            if not decisions[name].allows(chosen):
                raise ValueError(f"{name}: {chosen} is not a legal choice of {decisions[name].candidates}")
        return Architecture(space, self.choices)


def space_from_dict(data: Mapping[str, Any]) -> SpaceConfig:
    """Rebuild a space's settings from the data of `SpaceConfig.to_dict`.

    Raises:
        ValueError: the kind or a setting is unknown.
    """
    settings: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in data.items()}
    kind = settings.pop("kind", None)
    if not isinstance(kind, str) or kind not in SPACES:
        raise ValueError(f"unknown space {kind!r}; known: {', '.join(sorted(SPACES))}")
    config = SPACES[kind]
    if unknown := set(settings) - {field.name for field in fields(config)}:
        raise ValueError(f"space {kind!r} has no setting {', '.join(sorted(unknown))}")
    return config(**settings)
