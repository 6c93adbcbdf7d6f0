"""Learning weights, and measuring what was learned."""

__all__: list[str] = []
