"""Sources: where frames come from. Each is one module."""

from mango_grader.line.sources.base import Source, SourceCounts

__all__ = ["Source", "SourceCounts"]
