"""Run a worker on the actors of a Ray cluster, as ``bana.engine.pool`` runs it on processes."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bana.engine.pool import KILLED, Engine, Item, Result, Results, Worker, prepare_process
from bana.errors import BanaError, OutputError, SettingsError
from bana.extras import needed

_ADDRESS = "RAY_ADDRESS"

_ITEMS = 8
"""Most items per task. A task is handed out as a whole, and done again if its actor is lost."""

_TASKS = 4
"""Fewest tasks per actor, where there are enough items, so that actors finish at about the same time."""

_STARTS = 4
"""Most attempts per item. Ray itself would try forever, and one item could kill actor after actor."""


def ray_engine() -> Engine:
    """``map_in_order`` on the actors of Ray: in the cluster that RAY_ADDRESS names, or on this machine.

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
    return partial(_map_on_ray, ray)


def _map_on_ray(ray: Any, worker: Worker[Item, Result], items: Iterable[Item], workers: int) -> Results[Item, Result]:
    items = list(items)
    if not items:
        return
    with _connected(ray, workers):
        try:
            for item, row in zip(items, _rows(ray, worker, items, workers), strict=True):
                yield item, partial(_result, row["answer"])
        except ray.exceptions.RayActorError as error:
            reason = " ".join(str(error).split())
            raise OutputError(f"Ray cannot start workers ({reason}); give all machines the same bana") from error


def _rows(ray: Any, worker: Worker[Item, Result], items: list[Item], workers: int) -> Iterator[dict[str, bytes]]:
    """Yield the answers in the order of the items; Ray works a few tasks ahead."""
    context = ray.data.DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    size = max(1, min(_ITEMS, len(items) // (_TASKS * workers)))
    starts = ray.remote(num_cpus=0)(_Starts).remote(_STARTS)
    rows = [{"number": number, "item": pickle.dumps(item)} for number, item in enumerate(items)]
    with ray.data.DataContext.current(context):
        dataset = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // size)).map(
            _Actor,
            fn_constructor_args=(worker, Path.cwd(), starts),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        yield from dataset.iter_rows()


class _Starts:
    """Counts the attempts per item, in an actor of its own since the actors that make them may be lost."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[int] = Counter()

    def may_begin(self, number: int) -> bool:
        self._counts[number] += 1
        return self._counts[number] <= self._most


class _Actor:
    """Runs the worker on a row. Errors are answers too, or Ray would take them for its own."""

    def __init__(self, worker: Worker[Any, Any], folder: Path, starts: Any) -> None:
        self._worker, self._starts = worker, starts
        self._ray = needed("ray", "ray", "--engine ray")
        prepare_process()
        with contextlib.suppress(OSError):  # relative paths mean the same there, if there is such a folder
            os.chdir(folder)

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        answer: tuple[Any, BanaError | None]
        try:
            if not self._ray.get(self._starts.may_begin.remote(row["number"])):
                raise OutputError(KILLED)
            answer = self._worker(pickle.loads(row["item"])), None
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
    """Connect to a cluster for the length of a block: the one in use, that of RAY_ADDRESS, or one of this machine."""
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
    """Raise SettingsError if nothing listens at the address. Ray itself would try for many minutes."""
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
    """Silence standard error for the length of a block: Ray reports there that it has set the level of its logs."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
