"""The .mango model file: its parts, read as files that may be damaged or forged."""

__all__: list[str] = []
