"""Do one thing with every item on several processes: results come in order, and few items are in flight."""

from __future__ import annotations

import multiprocessing
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from multiprocessing.connection import wait
from typing import Any, Generic, Protocol, TypeVar

import torch

from bana.engine.forkserver import worker_context
from bana.engine.memory import keep_freed_memory
from bana.errors import OutputError

Item = TypeVar("Item")
Result = TypeVar("Result")
Results = Generator[tuple[Item, Callable[[], Result]], None, None]
"""Every item with a function that returns its result or raises its error. Closing it ends the processes."""

KILLED = "a worker process was killed, perhaps for want of memory; run again with fewer --workers"
"""The message for a process that ended without a word."""

_IN_FLIGHT = 4
"""Items per process that are waiting or in progress."""

_worker: Worker[Any, Any]
"""The worker of this process; set once when the process starts."""


class Worker(ABC, Generic[Item, Result]):
    """What is done with each item: a picklable object that is sent to every process once.

    A subclass makes what takes long to load, such as a network, a ``cached_property``. Each process then loads its own
    when it first needs it; a loaded one is never sent.
    """

    @abstractmethod
    def __call__(self, item: Item) -> Result:
        """Work on one item."""

    def __getstate__(self) -> dict[str, Any]:
        kind = type(self)
        loaded = {name for name in vars(self) if isinstance(getattr(kind, name, None), cached_property)}
        return {name: value for name, value in vars(self).items() if name not in loaded}


class Engine(Protocol):
    """Runs a worker on every item, as ``map_in_order`` does."""

    def __call__(self, worker: Worker[Item, Result], items: Iterable[Item], workers: int) -> Results[Item, Result]:
        """Yield every item with a function that returns its result or raises its error."""


def map_in_order(worker: Worker[Item, Result], items: Iterable[Item], workers: int) -> Results[Item, Result]:
    """Yield every item, in order, with a function that returns its result or raises its error.

    Args:
        worker: Sent to every process; with one process it is called here.
        items: Taken as they are needed, a few ahead.
        workers: Number of processes; 1 works in this one.

    Raises:
        OutputError: If a process is killed or runs out of memory.
    """
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in the other processes: the same bits for any number of them
        try:
            for item in items:
                yield item, lambda item=item: worker(item)  # type: ignore[misc]
        finally:
            torch.set_num_threads(threads)
        return
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with ProcessPoolExecutor(workers, worker_context(), initializer=_start, initargs=(worker,)) as executor:
        try:
            for item in items:
                pending.append((item, executor.submit(_do, item)))
                if len(pending) >= _IN_FLIGHT * workers:
                    yield _finished(*pending.popleft())
            while pending:
                yield _finished(*pending.popleft())
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def prepare_process() -> None:
    """Set up a process that does nothing but run a worker: one thread, and freed memory kept for the next item."""
    torch.set_num_threads(1)
    keep_freed_memory()


def _finished(item: Item, future: Future[Result]) -> tuple[Item, Callable[[], Result]]:
    if isinstance(future.exception(), BrokenProcessPool):
        raise OutputError(KILLED)
    return item, future.result


def _start(worker: Worker[Any, Any]) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare_process()
    _worker = worker


def _do(item: Any) -> Any:
    return _worker(item)


def _end_with_parent() -> None:
    """A killed parent cannot stop its workers, so each watches for the parent's end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
