"""Image files: which are read, and how each becomes the pixels that a network takes."""

__all__: list[str] = []
