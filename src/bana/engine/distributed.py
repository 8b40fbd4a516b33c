"""The processes that train one network together, as ``torchrun`` starts them; mostly there is one.

Each process works on its share of every batch and computes its share of the loss: sums are divided by what the whole
batch counts, so the shares of all processes add up to the loss that one process would compute.
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


@dataclass(frozen=True)
class RuntimeConfig:
    """What a run computes on. Nothing here changes the result.

    Attributes:
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...
        workers: Processes that prepare samples; with 0 the training process prepares them itself.
        checkpoint_seconds: Least time between checkpoints; 0 saves after every step.
        tensorboard: Log for TensorBoard too.
        accumulate: Number of parts into which each batch is split to save memory. The parts are worked on one after the
            other and their losses are averaged by the number of images.
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
        world_size: How many processes there are.
        device: Where it computes.
    """

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def console(self, console: Console) -> Console:
        """The console for the main process, a silent one for the others."""
        return console if self.is_main else Console(quiet=True)

    def split(self, items: Sequence[Item]) -> list[Item]:
        """This process's share of the items; every item is in the share of exactly one process."""
        return list(items[self.rank :: self.world_size])

    def all_reduce(self, number: Tensor) -> Tensor:
        """The sum of all processes' tensors; gradients flow to each of them."""
        return number if self.world_size == 1 else _AllReduce.apply(number)

    def all_reduce_dict(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The sums of numbers that all processes have under the same names."""
        if self.world_size == 1:
            return dict(numbers)
        dtype = torch.float32 if self.device.startswith("mps") else torch.float64
        sums = self.all_reduce(torch.tensor(list(numbers.values()), dtype=dtype, device=self.device))
        return dict(zip(numbers, sums.tolist(), strict=True))

    def wrap(self, module: nn.Module) -> nn.Module:
        """A module whose gradients, after a backward pass on every process, are the means of all processes'."""
        return module if self.world_size == 1 else DistributedDataParallel(module)


SINGLE_PROCESS = DistContext()


class _AllReduce(torch.autograd.Function):
    """A sum over processes, each of which computes its share of the loss from it."""

    @staticmethod
    def forward(ctx: Any, number: Tensor) -> Tensor:
        """The sum."""
        total = number.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Every process's share of the loss depends on this process's number."""
        total = gradient.clone().contiguous()
        dist.all_reduce(total)
        return total


@contextmanager
def dist_context(out: Path, device: str) -> Iterator[DistContext]:
    """Connect to the other processes if a launcher has started several, and lock the run's folder.

    Args:
        out: The run's folder, which the main process locks (see lock_folder).
        device: Where to compute; for ``cuda`` each process on a machine takes another GPU.

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
    context = DistContext(place.number - 1, place.count, device)
    with lock_folder(out) if context.is_main else nullcontext():
        _connect(context)
        try:
            yield context
            dist.barrier()  # all wait until the main process has written its files
        finally:
            dist.destroy_process_group()


def _connect(context: DistContext) -> None:
    backend = "nccl" if context.device.startswith("cuda") else "gloo"
    try:
        store, rank, count = next(rendezvous("env://"))
        # A launcher may keep its store over restarts, with the addresses of the processes that were before.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = dist.PrefixStore(f"attempt-{attempt}", store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"process {context.rank} of {context.world_size}: no connection ({reason})") from error
