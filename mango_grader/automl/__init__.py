"""Neural architecture search: spaces, super nets, costs, objectives, methods and the one loop."""

__all__: list[str] = []
