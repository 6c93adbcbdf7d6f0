"""Measures a model on this host: latency of its stages, throughput, decoding and memory."""

from mango_grader.runtime.bench.decoding import ImageSet, drawn_sets, photo_set
from mango_grader.runtime.bench.measure import Benchmark

__all__ = ["Benchmark", "ImageSet", "drawn_sets", "photo_set"]
