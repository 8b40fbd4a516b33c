"""What goes wrong on purpose."""


class DenseCRFError(ValueError):
    """An argument is not allowed: one line that names it, says what it is and what is allowed instead."""
