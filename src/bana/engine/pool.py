"""Doing one thing with every record on several processes, in order, with little in flight."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

import torch

from bana.engine.memory import keep_freed_memory
from bana.errors import OutputError

Item = TypeVar("Item")
Result = TypeVar("Result")
Results = Generator[tuple[Item, Callable[[], Result]], None, None]
"""Every item with a function that gives its result or raises its error; closed, it ends the processes."""

Taken = TypeVar("Taken", contravariant=True)
Given = TypeVar("Given", covariant=True)

_IN_FLIGHT = 4
"""Records a process that wait or are worked on."""

KILLED = "a worker process was killed, perhaps for want of memory; run again with fewer --workers"
"""What to say of a process that ended without a word."""

_work: Callable[[Any], Any]
"""What this process does with a record; set once when the process starts."""


class Job(Protocol[Taken, Given]):
    """What a process needs to prepare itself; sent to it once."""

    def prepare(self) -> Callable[[Taken], Given]:
        """The function to call with every item."""


class Engine(Protocol):
    """A way to do a job with every item; see each_in_order."""

    def __call__(
        self, job: Job[Item, Result], items: Iterable[Item], workers: int, here: Callable[[Item], Result]
    ) -> Results[Item, Result]:
        """Every item with a function that gives its result or raises its error."""


def each_in_order(
    job: Job[Item, Result], items: Iterable[Item], workers: int, here: Callable[[Item], Result]
) -> Results[Item, Result]:
    """Every item with a function that gives its result or raises its error.

    Args:
        job: Prepared in every process.
        items: In order; no more than a few are taken ahead.
        workers: DistContext; 1 works in this one.
        here: What ``job`` prepares, for this process.

    Raises:
        OutputError: If a process ends without a word (killed, or out of memory).
    """
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in the other processes: the same bits for any number of them
        try:
            for item in items:
                yield item, lambda item=item: here(item)  # type: ignore[misc]
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(job,)) as executor:
        try:
            for item in items:
                pending.append((item, executor.submit(_do, item)))
                if len(pending) >= _IN_FLIGHT * workers:
                    yield _finished(*pending.popleft())
            while pending:
                yield _finished(*pending.popleft())
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _finished(item: Item, future: Future[Result]) -> tuple[Item, Callable[[], Result]]:
    if isinstance(future.exception(), BrokenProcessPool):
        raise OutputError(KILLED)
    return item, future.result


def _start(job: Job[Any, Any]) -> None:
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work = start_work(job)


def start_work(job: Job[Item, Result]) -> Callable[[Item], Result]:
    """What the job prepares, in a process that is for it alone."""
    torch.set_num_threads(1)
    keep_freed_memory()
    return job.prepare()


def _do(item: Any) -> Any:
    return _work(item)


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers to stop; each watches for its end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
