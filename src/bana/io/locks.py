"""The system's own locks, which end with the process that holds them, however that ends."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # on Windows there are none of this kind
    fcntl = None  # type: ignore[assignment]

LOCKS = fcntl is not None
"""Whether this system has such locks."""


def lock(descriptor: int) -> bool | None:
    """Take the lock of an open file or folder, until it is closed, without waiting.

    Returns:
        True where it is held now, False where another holds it, None where the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
