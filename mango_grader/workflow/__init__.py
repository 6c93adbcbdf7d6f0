"""Whole runs: data in, run folder out. The command line is a thin layer over these functions."""

__all__: list[str] = []
