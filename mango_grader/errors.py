"""What can go wrong in a way that the user can mend; every message is one line and says what to do."""


class MangoError(Exception):
    """A run failed for a reason worth one line; the command line exits with `exit_code`."""

    exit_code = 1


class UsageError(MangoError):
    """Options or arguments that cannot be used (exit code 2)."""

    exit_code = 2


class MissingExtraError(UsageError):
    """A command needs an optional part of the installation."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra; run: pip install 'mango-grader[{extra}]'")


class FormatError(MangoError, ValueError):
    """A file does not hold what its name says; where a file of the user's is meant, `ValueError` is what is caught."""


class ImageError(MangoError):
    """One image cannot be used; the message is the reason that its result row carries."""


class BundleError(MangoError):
    """A .mango file is damaged, too new, or does not reproduce its own golden answers."""


class ExportError(MangoError):
    """A network could not be turned into a bundle that answers as it does."""
