"""Errors that the user can fix; every message is one line and tells what to do."""


class MangoError(Exception):
    """An error whose message is all that the user needs.

    Attributes:
        exit_code: of the command line.
    """

    exit_code = 1


class UsageError(MangoError):
    """Options or arguments that cannot be used (exit code 2)."""

    exit_code = 2


class MissingExtraError(UsageError):
    """An optional part of the installation is missing.

    Args:
        what: that needs it, as the start of the message: "writing Parquet".
        extra: to install, such as "parquet".
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra; run: pip install 'mango-grader[{extra}]'")


class FormatError(MangoError, ValueError):
    """A file does not have the format that it should have."""


class ImageError(MangoError):
    """An image cannot be used; the message is the reason in its result row."""


class BundleError(MangoError):
    """A .mango file is damaged, of a later version, or does not reproduce its golden answers."""


class ExportError(MangoError):
    """A network could not be exported as a bundle with the same answers."""


class SinkError(MangoError):
    """A sink cannot take decisions now; they are kept on disk and delivered later."""
