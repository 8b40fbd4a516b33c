"""Doing one thing with every record on the actors of a Ray cluster, as ``bana.engine.pool`` does it on processes."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from bana.engine.pool import KILLED, Engine, Item, Job, Result, Results, start_work
from bana.errors import BanaError, OutputError, SettingsError
from bana.extras import needed

_ADDRESS = "RAY_ADDRESS"

_ITEMS = 8
"""Items of one task at most: what is handed out, and what is done again after the loss of an actor, at a time."""

_TASKS = 4
"""Tasks an actor at least, where there are enough items: so that none is idle long before the others are."""

_STARTS = 4
"""How often an item is begun at most. Ray itself would try for ever, and one item could kill actor after actor."""


def ray_engine() -> Engine:
    """What does as ``each_in_order`` on actors of Ray: of the cluster that RAY_ADDRESS names, else of this machine.

    Raises:
        SettingsError: If Ray is not installed, or nothing listens at RAY_ADDRESS.
    """
    if address := os.environ.get(_ADDRESS):
        _knock(address)
    else:
        # Read when Ray is imported. It asks no address of the network then, and all its servers are on 127.0.0.1, as
        # they are on the systems that this setting is named after.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    ray = needed("ray", "ray", "--engine ray")
    needed("ray.data", "ray", "--engine ray")
    return partial(_each_on_ray, ray)


def _each_on_ray(
    ray: Any, job: Job[Item, Result], items: Iterable[Item], workers: int, here: Callable[[Item], Result]
) -> Results[Item, Result]:
    """As ``each_in_order``; ``here`` is not called, since Ray works in processes of its own."""
    items = list(items)
    if not items:
        return
    with _connected(ray, workers):
        try:
            for item, row in zip(items, _rows(ray, job, items, workers), strict=True):
                yield item, partial(_result, row["answer"])
        except ray.exceptions.RayActorError as error:
            reason = " ".join(str(error).split())
            raise OutputError(f"Ray cannot start workers ({reason}); give all machines the same bana") from error


def _rows(ray: Any, job: Job[Item, Result], items: list[Item], workers: int) -> Iterator[dict[str, bytes]]:
    """The answers in the order of the items, made as they are asked for with a few tasks ahead."""
    context = ray.data.DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    size = max(1, min(_ITEMS, len(items) // (_TASKS * workers)))
    starts = ray.remote(num_cpus=0)(_Starts).remote(_STARTS)
    rows = [{"number": number, "item": pickle.dumps(item)} for number, item in enumerate(items)]
    with ray.data.DataContext.current(context):
        dataset = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // size)).map(
            _Worker,
            fn_constructor_args=(job, Path.cwd(), starts),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        yield from dataset.iter_rows()


class _Starts:
    """An actor that counts how often each item was begun, since those that begin them may be lost."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[int] = Counter()

    def may_begin(self, number: int) -> bool:
        self._counts[number] += 1
        return self._counts[number] <= self._most


class _Worker:
    """What an actor does with a row: its errors are answers too, or Ray would take them for its own."""

    def __init__(self, job: Job[Any, Any], folder: Path, starts: Any) -> None:
        self._job = job
        self._starts = starts
        self._ray = needed("ray", "ray", "--engine ray")
        with contextlib.suppress(OSError):  # relative paths mean the same there, if there is such a folder
            os.chdir(folder)

    @cached_property
    def _work(self) -> Callable[[Any], Any]:
        return start_work(self._job)

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        answer: tuple[Any, BanaError | None]
        try:
            if not self._ray.get(self._starts.may_begin.remote(row["number"])):
                raise OutputError(KILLED)
            answer = self._work(pickle.loads(row["item"])), None
        except BanaError as error:
            answer = None, error
        return {"answer": pickle.dumps(answer)}


def _result(answer: bytes) -> Any:
    value, error = pickle.loads(answer)
    if error is not None:
        raise error
    return value


@contextlib.contextmanager
def _connected(ray: Any, workers: int) -> Iterator[None]:
    """Within the block there is a cluster: the one in use, that of RAY_ADDRESS, or one of this machine for the time."""
    if ray.is_initialized():
        yield
        return
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    with _mute():
        if address := os.environ.get(_ADDRESS):
            try:
                ray.init(**quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _no_ray(address, error) from error
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise SettingsError if nothing listens at a host and port; Ray would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise _no_ray(address, error) from error


def _no_ray(address: str, error: Exception) -> SettingsError:
    reason = " ".join(str(error).split())
    remedy = "correct or unset it; for a cluster with a token, set RAY_AUTH_MODE=token"
    return SettingsError(f"{_ADDRESS}={address}: no Ray answers there ({reason}); {remedy}")


@contextlib.contextmanager
def _mute() -> Iterator[None]:
    """Within the block nothing reaches standard error, where Ray would say that it has set the level of its logs."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
