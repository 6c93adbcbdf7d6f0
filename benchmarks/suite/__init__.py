"""Benchmarks that anyone can run again: a file each, `python -m benchmarks.suite.NAME`."""
