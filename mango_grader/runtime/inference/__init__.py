"""A model that runs: stages, exit policies, the grader, and the record of each image."""

__all__: list[str] = []
