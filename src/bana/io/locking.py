"""Keeping two runs out of one folder."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from bana.errors import OutputError
from bana.io.locks import lock

Given = ParamSpec("Given")
Result = TypeVar("Result")


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there, and unmade if nothing was written to it.

    The lock is the system's own (``flock``) on the folder itself: no file of it is left, and it ends with the process,
    however that ends. Where a folder cannot be made or the file system has no locks, none is held; what writes there
    says what is wrong.

    Args:
        folder: Of a run's outputs.

    Raises:
        OutputError: If another process holds it.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    descriptor = None
    try:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
        if descriptor is not None and lock(descriptor) is False:
            raise OutputError(f"{folder}: another run writes there; wait for it, or choose another --out")
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()


def alone(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function that has the folder of its argument ``out`` for itself while it works; see lock_folder.

    Where ``out`` is at an address there is no lock to be had.
    """
    signature = inspect.signature(work)

    @wraps(work)
    def locked(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        out = signature.bind(*args, **kwargs).arguments["out"]
        with lock_folder(out) if isinstance(out, Path) else contextlib.nullcontext():
            return work(*args, **kwargs)

    return locked
