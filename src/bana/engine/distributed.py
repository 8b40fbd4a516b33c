"""The processes that train one network together, as ``torchrun`` starts them; mostly there is one.

Each works on its share of every batch. What it computes are shares too: a loss is divided by what is counted in the
whole batch, so that the shares of all processes add up to the loss of one process that has the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from rich.console import Console
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from bana.errors import SettingsError
from bana.io.locking import lock_folder
from bana.io.shards import Shard

Item = TypeVar("Item")

_RESTARTS = "TORCHELASTIC_RESTART_COUNT"


@dataclass(frozen=True)
class RuntimeConfig:
    """On what a run computes; nothing here changes what it is a run of.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...
        workers: DistContext that prepare samples; 0 prepares them in the training process.
        checkpoint_seconds: Least time between checkpoints; 0 saves after every step.
        tensorboard: Log for TensorBoard too.
        accumulate: In how many parts, one after the other, a step's batch is worked on where memory is short; gradients
            accumulate. The losses of the parts are averaged by their images.
    """

    device: str = "cpu"
    workers: int = 0
    checkpoint_seconds: float = 10.0
    tensorboard: bool = False
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise SettingsError(f"accumulate is {self.accumulate}: a batch has at least 1 part")


DEFAULT_RUNTIME = RuntimeConfig()


@dataclass(frozen=True)
class DistContext:
    """This process among those that train together.

    Attributes:
        rank: Its number, from 0 on.
        count: How many there are.
        device: Where it computes.
        restarted: Whether a launcher has started it again after a failure.
    """

    rank: int = 0
    count: int = 1
    device: str = "cpu"
    restarted: bool = False

    @property
    def first(self) -> bool:
        """Whether it is the one that writes files and tells of progress."""
        return self.rank == 0

    def console(self, console: Console) -> Console:
        """The console for the first process, a silent one for the others."""
        return console if self.first else Console(quiet=True)

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Its share of items, which all processes together have once each."""
        return list(items[self.rank :: self.count])

    def total(self, number: Tensor) -> Tensor:
        """The sum of all processes' tensors; gradients flow to each of them."""
        return number if self.count == 1 else _Total.apply(number)

    def totals(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The sums of numbers that all processes have under the same names."""
        if self.count == 1:
            return dict(numbers)
        kind = torch.float32 if self.device.startswith("mps") else torch.float64
        whole = self.total(torch.tensor(list(numbers.values()), dtype=kind, device=self.device))
        return dict(zip(numbers, whole.tolist(), strict=True))

    def wrap(self, step: nn.Module) -> nn.Module:
        """A module whose gradients, after a backward pass on every process, are the means of all processes'."""
        return step if self.count == 1 else DistributedDataParallel(step)


SINGLE_PROCESS = DistContext()


class _Total(torch.autograd.Function):
    """A sum over processes, each of which goes on with it to a share of the loss."""

    @staticmethod
    def forward(ctx: Any, number: Tensor) -> Tensor:
        """The sum."""
        whole = number.detach().clone()
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Every process's share of the loss depends on this process's number."""
        whole = gradient.clone().contiguous()
        dist.all_reduce(whole)
        return whole


@contextmanager
def joined(out: Path, device: str) -> Iterator[DistContext]:
    """Find the other processes if a launcher has started several, and have the folder of the run for them alone.

    Args:
        out: The run's folder, which the first process holds (see lock_folder).
        device: Where to compute; of ``cuda`` each process on a machine takes another one.

    Raises:
        OutputError: If another run writes to the folder.
        SettingsError: If the launcher's processes cannot find each other.
    """
    place = Shard.of_rank()
    if place is None:
        with lock_folder(out):
            yield DistContext(device=device)
        return
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    restarted = os.environ.get(_RESTARTS, "0") != "0"
    processes = DistContext(place.number - 1, place.count, device, restarted)
    with lock_folder(out) if processes.first else nullcontext():
        _connect(processes)
        try:
            yield processes
            dist.barrier()  # none is done before the first has written all files
        finally:
            dist.destroy_process_group()


def _connect(processes: DistContext) -> None:
    backend = "nccl" if processes.device.startswith("cuda") else "gloo"
    try:
        store, rank, count = next(rendezvous("env://"))
        # A launcher may keep its store over restarts, with the addresses of the processes that were before.
        store = dist.PrefixStore(f"attempt-{os.environ.get(_RESTARTS, '0')}", store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"process {processes.rank} of {processes.count}: no connection ({reason})") from error
