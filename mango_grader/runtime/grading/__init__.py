"""A grading job: which images, the journal, result files, sorted copies and the contact sheet."""

__all__: list[str] = []
