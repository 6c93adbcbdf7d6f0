"""A number and its noun: 1 group, 1,234 groups."""


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return `count` with `noun`, which takes an s where `plural` is None: "1 group", "2 entries", "1,234 groups"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
