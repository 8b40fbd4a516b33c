"""The error that densecrf raises."""


class DenseCRFError(ValueError):
    """An argument is not allowed. The message is one line: the argument, its value, and what is allowed."""
