"""Settings as plain data: dataclasses written as JSON values, and read back with types and ranges checked."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from mango_grader.errors import UsageError
from mango_grader.files import to_json
from mango_grader.ranges import Ranged, RangeError

T = TypeVar("T")

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}  # to make one takes longer than all that it is asked


class Section(Ranged):
    """Base of the sections of a file that people edit: unknown keys and values of other types are refused.

    Example:
        >>> from dataclasses import dataclass
        >>> from mango_grader.ranges import Positive
        >>> @dataclass(frozen=True)
        ... class Camera(Section):
        ...     fps: Positive = 30.0
        >>> checked_section(Camera, {"fbs": 12.5}, "camera")
        Traceback (most recent call last):
        mango_grader.errors.UsageError: camera: no setting is called fbs; there is fps
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def plain(value: Any) -> Any:
    """Return a dataclass as JSON-safe plain data."""
    return _adapter(type(value)).dump_python(value, mode="json", by_alias=True)


def checked(kind: type[T], data: Any, prefix: str = "") -> T:
    """Return plain data as a dataclass, with types and ranges checked.

    Args:
        kind: the dataclass.
        data: what `plain` returned, or the same in JSON.
        prefix: put before the names of settings in messages.

    Raises:
        UsageError: something does not fit; one line about the first such value.
    """
    try:
        read: T = _adapter(kind).validate_python(data)
        return read
    except ValidationError as error:
        raise _explained(error, kind, prefix) from error


def checked_section(kind: type[T], data: Any, prefix: str = "") -> T:
    """Return plain data as a `Section`; as `checked`, but a number in quotes is no number.

    Args:
        kind: the dataclass, a `Section`.
        data: of JSON's own types, such as a table of a TOML file.
        prefix: put before the names of settings in messages.

    Raises:
        UsageError: something does not fit, or there is no such setting; one line about the first such value.
    """
    try:
        read: T = _adapter(kind).validate_json(to_json(data))  # In JSON, a list may stand for a tuple in strict mode.
        return read
    except ValidationError as error:
        raise _explained(error, kind, prefix) from error


def _explained(error: ValidationError, kind: type, prefix: str) -> UsageError:
    first = error.errors()[0]
    place = [*([prefix] if prefix else []), *(str(part) for part in first["loc"])]
    cause = first.get("ctx", {}).get("error")
    if first["type"] == "unexpected_keyword_argument":
        return UsageError(f"{'.'.join(place[:-1]) or kind.__name__}: {_unknown(place[-1], kind, first['loc'][:-1])}")
    where = ".".join(place)
    if isinstance(cause, RangeError):  # it begins with the setting's own name
        return UsageError(f"{where}.{cause}" if where else str(cause))
    return UsageError(f"{where or kind.__name__}: {first['msg'].removeprefix('Value error, ')}")


def _unknown(name: str, kind: type, path: Sequence[int | str]) -> str:
    known = ", ".join(vars(kind).get("__dataclass_fields__", {})) if not path else ""
    return f"no setting is called {name}" + (f"; there {'are' if ', ' in known else 'is'} {known}" if known else "")
