"""What can go wrong, as a small tree under one base class.

Every message is one line that names the file, the place in it and what to do. The command line prints it and
exits with status 2.
"""


class BanaError(Exception):
    """Base of every error that bana raises on purpose; its text is one line, whatever is quoted in it."""

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())


class DataError(BanaError):
    """A data set, annotation file, image or mask cannot be used as it is."""


class CheckpointError(BanaError):
    """A file is not a labeler or checkpoint, or belongs to another model, class list or set of settings."""


class SettingsError(BanaError):
    """An option, preset or argument has a value that is not allowed."""


class OutputError(BanaError):
    """A result cannot be written where it was asked for."""
