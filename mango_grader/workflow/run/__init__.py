"""One run: its folder and data, its budget, what is measured of it, and what its report is made of."""

__all__: list[str] = []
