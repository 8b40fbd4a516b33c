"""Keeping two runs out of one folder."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from filelock import lock_descriptor

from bana.errors import OutputError

Params = ParamSpec("Params")
Result = TypeVar("Result")

WINDOWS = os.name == "nt"


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there, and unmade if nothing was written to it.

    The lock is the system's own, on the folder itself: it leaves no file, and it ends with the process, however that
    ends. Where a folder cannot be made or the file system has no locks, none is held; what writes there says what is
    wrong.

    Args:
        folder: The output folder of a run.

    Raises:
        OutputError: If another process holds it.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    with contextlib.ExitStack() as stack:
        for each in reversed(missing):
            stack.callback(_remove_if_empty, each)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = _open(folder)
            stack.callback(os.close, descriptor)
            if not lock_descriptor(descriptor, blocking=False):
                raise OutputError(f"{folder}: another run writes there; wait for it, or choose another --out")
        yield


def exclusive(function: Callable[Params, Result]) -> Callable[Params, Result]:
    """A decorator: hold the folder of the argument ``out`` while the function runs; see lock_folder.

    Where ``out`` is a remote address there is no lock.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def locked(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        out = signature.bind(*args, **kwargs).arguments["out"]
        with lock_folder(out) if isinstance(out, Path) else contextlib.nullcontext():
            return function(*args, **kwargs)

    return locked


def _open(folder: Path) -> int:
    """A descriptor to lock: the folder's, or on Windows, which opens no folder, that of a file among temporary ones."""
    if not WINDOWS:
        return os.open(folder, os.O_RDONLY)
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return os.open(Path(tempfile.gettempdir()) / f"bana-{digest}.lock", os.O_RDWR | os.O_CREAT)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
