"""Worker processes that need not import anything: they are forked from one that has.

Importing torch and what is built on it takes seconds. A command that will need workers lets another process begin with
that at once, beside its own imports. This module imports nothing that takes time.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

_METHOD = "forkserver"
_SPAWN = "spawn"

_chosen = _SPAWN
"""How workers start: forked from the other process once it runs, else by themselves."""


def begin_imports(*modules: str) -> None:
    """Start the process from which workers are forked, where the system can; it imports these modules.

    Workers have the environment variables of this moment.
    """
    global _chosen
    if _METHOD in multiprocessing.get_all_start_methods():
        multiprocessing.set_forkserver_preload(list(modules))
        forkserver.ensure_running()
        _chosen = _METHOD


def worker_context() -> BaseContext:
    """How to start workers."""
    return multiprocessing.get_context(_chosen)
