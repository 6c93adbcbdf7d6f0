"""Grading an archive: shards of images into Parquet files, on this machine or on a cluster."""

from mango_grader.runtime.archive.archive import Archive, ArchiveFolder
from mango_grader.runtime.archive.grading import ModelChoice, grade_archive
from mango_grader.runtime.archive.sources import ArchiveSource, open_archive

__all__ = ["Archive", "ArchiveFolder", "ArchiveSource", "ModelChoice", "grade_archive", "open_archive"]
