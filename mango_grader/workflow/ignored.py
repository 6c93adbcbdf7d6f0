"""Settings that a configuration would not look at: whoever sets one is told so, instead of believing that it counts."""

from collections.abc import Iterator
from dataclasses import fields

from mango_grader.errors import UsageError
from mango_grader.ranges import Ranged
from mango_grader.workflow.search_config import MethodConfig


def refuse_ignored(config: Ranged, name: str, assignment: str) -> None:
    """Raise UsageError if a setting has no effect beside the others.

    Args:
        config: the whole configuration, the setting in place.
        name: of the setting in `config`, such as "search.method.epochs".
        assignment: the setting as the user wrote it.
    """
    for ignored, reason in _ignored(config):
        if f"{name}.".startswith(f"{ignored}."):
            raise UsageError(f"--set {assignment} would be ignored: {reason}")


def _ignored(part: Ranged, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every ignored setting of a dataclass and of those in it, by its whole name, with the reason."""
    for name, reason in part.ignored().items():
        yield f"{prefix}{name}", reason
    for field in fields(part):  # type: ignore[arg-type]
        value = getattr(part, field.name)
        inner = value.settings if isinstance(value, MethodConfig) else value
        if isinstance(inner, Ranged):
            yield from _ignored(inner, f"{prefix}{field.name}.")
