"""The training loop: all of it, in one place.

A run is a function of its seed. The order of an epoch, the augmentation of a sample and the noise of a step each have a
seed of their own, so a run that was killed and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from rich.console import Console
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from bana.engine.checkpoint import Model, restore_checkpoint, save_checkpoint
from bana.engine.distributed import RuntimeConfig
from bana.engine.plan import LoopConfig, Part, Samples
from bana.engine.progress import JsonLog, Log, StepProgress, TensorBoardLog
from bana.errors import CheckpointError

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"

_STILL_FALLING = 0.1
"""Share by which the mean loss of the last fifth of a run falls where it has not ended its descent."""

_OBJECTIVE = "objective"
"""Among the metrics of a step, the loss whose gradients were taken."""


@dataclass(frozen=True)
class Validated:
    """What was measured after an epoch.

    Attributes:
        metrics: Numbers to log.
        score: The best weights are those with the greatest score. None if nothing was scored.
    """

    metrics: dict[str, float]
    score: float | None = None


class TrainingTask(Protocol):
    """What a stage gives the loop."""

    @property
    def model(self) -> Model:
        """The network, on the device of the run."""

    @property
    def optimizer(self) -> optim.Optimizer:
        """The optimizer, with the learning rates before the schedule's factor."""

    def collate(self, samples: list[Any], /) -> Any:
        """A batch of several samples: a tensor or a dataclass of tensors."""

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and the metrics to show (the loss among them).

        Where several processes train together, each has a share of the batch, and both are shares: those of all
        processes add up to what one process would compute. All processes give metrics of the same names.
        """

    def lr_factor(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` (0..1) of all steps."""

    def after_epoch(self, epoch: int) -> Validated:
        """Called after so many epochs, from 0 on; it may switch the model to inference."""


def training_loop(
    task: TrainingTask,
    samples: Samples,
    config: LoopConfig,
    out: Path,
    identity: dict[str, Any],
    console: Console,
    keep_best: Callable[[], None] = lambda: None,
) -> None:
    """Train a task's model in place, from its checkpoint in ``out`` if there is one.

    Args:
        task: Model, optimizer, loss and schedule.
        samples: Answers ``samples[(epoch, index)]`` for every index below its length.
        config: Epochs, batch size and seeds.
        out: The run's folder; gets ``log.jsonl`` and ``checkpoint.safetensors``.
        identity: What the run depends on (settings, data); a checkpoint of another identity is refused.
        console: Where progress is shown.
        keep_best: Called by every process after an epoch whose score is better than all before.

    Raises:
        CheckpointError: If the checkpoint is damaged or of another run, or the loss becomes infinite or NaN.
        OutputError: If ``out`` cannot be written.
    """
    context, began, count = config.context, time.monotonic(), len(samples)
    scaler = torch.amp.GradScaler(context.device.partition(":")[0], enabled=config.precision == "float16")
    first_step, best = restore_checkpoint(out / CHECKPOINT, task.model, task.optimizer, scaler, identity)
    total, epoch_steps, saved = config.steps(count), config.steps_per_epoch(count), began
    base_rates = [group["lr"] for group in task.optimizer.param_groups]
    loss_module = context.wrap(_LossModule(task))
    display = _Display(out, first_step, total, config, console)
    try:
        batches = _TimedBatches(iter(_loader(samples, task.collate, config, first_step)))
        if first_step == 0:
            best = _finish_epoch(task, 0, 0, best, display, keep_best)
        task.model.train()
        for step, parts in enumerate(config.steps_from(first_step, count), first_step):
            lr_factor = task.lr_factor(step / total)
            _set_learning_rates(task.optimizer, base_rates, lr_factor)
            torch.manual_seed(config.seed_of_step(step))
            task.optimizer.zero_grad(set_to_none=True)
            metrics = context.all_reduce_dict(_backward(loss_module, parts, batches, scaler, config))
            if not math.isfinite(loss := metrics.pop(_OBJECTIVE)):
                raise CheckpointError(f"{out}: the loss is {loss} at step {step}; lower the learning rate")
            scaler.step(task.optimizer)
            scaler.update()
            display.step(step, lr_factor, metrics)
            if (step + 1) % epoch_steps == 0:
                best = _finish_epoch(task, step, (step + 1) // epoch_steps, best, display, keep_best)
                task.model.train()
            is_due = time.monotonic() - saved >= config.runtime.checkpoint_seconds or step + 1 == total
            if context.is_main and is_due:
                facts = {"steps": step + 1, "identity": identity, "best": best}
                save_checkpoint(out / CHECKPOINT, task.model, task.optimizer, scaler, facts)
                saved = time.monotonic()
    finally:
        display.close()
    task.model.train(False)
    images = (total - first_step) * count / epoch_steps  # the last step of an epoch may be smaller
    display.conclude(time.monotonic() - began, batches.seconds, images)


def _loader(
    samples: Samples, collate: Callable[[list[Any]], Any], config: LoopConfig, first_step: int
) -> DataLoader[Any]:
    """Gives the batch of every part of every step from ``first_step`` on."""
    workers = config.runtime.workers
    return DataLoader(
        cast("Dataset[Any]", samples),
        batch_sampler=(part.keys for parts in config.steps_from(first_step, len(samples)) for part in parts),
        collate_fn=collate,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )


class _TimedBatches:
    """Batches, and how long they were waited for."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        began = time.monotonic()
        batch = next(self._batches)
        self.seconds += time.monotonic() - began
        return batch


def _set_learning_rates(optimizer: optim.Optimizer, base_rates: list[float], factor: float) -> None:
    for group, base_rate in zip(optimizer.param_groups, base_rates, strict=True):
        group["lr"] = base_rate * factor


def _finish_epoch(
    task: TrainingTask, step: int, epoch: int, best: float | None, display: _Display, keep_best: Callable[[], None]
) -> float | None:
    """Log what the task measures after an epoch, and keep the model if it is the best; returns the best score."""
    validated = task.after_epoch(epoch)
    if validated.metrics:
        display.log(step, {"epoch": epoch, **validated.metrics})
    if validated.score is None or not validated.score > (-math.inf if best is None else best):
        return best
    keep_best()
    return validated.score


class _LossModule(nn.Module):
    """A task's loss as a module, so that DistributedDataParallel sees all of its parameters."""

    def __init__(self, task: TrainingTask) -> None:
        super().__init__()
        self.model = cast("nn.Module", task.model)
        self._task = task

    def forward(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        return self._task.loss(batch)


def _backward(
    loss_module: nn.Module, parts: list[Part], batches: Iterator[Any], scaler: torch.amp.GradScaler, config: LoopConfig
) -> dict[str, float]:
    """The gradients of a step, part by part; returns this process's share of its metrics and of the objective."""
    weighted: dict[str, float] = {}
    weights: dict[str, float] = {}
    for number, part in enumerate(parts, 1):
        with _synchronized_if(number == len(parts), loss_module):
            with _autocast(config):
                loss, metrics = loss_module(_to_device(next(batches), config.context.device))
            # Of gradients the mean over processes is taken, but a loss is the sum of its shares.
            scaler.scale(loss * part.weight * config.context.world_size).backward()
        for name, value in {**metrics, _OBJECTIVE: loss.item()}.items():
            weighted[name] = weighted.get(name, 0.0) + part.weight * value
            weights[name] = weights.get(name, 0.0) + part.weight
    return {name: value / weights[name] for name, value in weighted.items()}


def _synchronized_if(is_last: bool, loss_module: nn.Module) -> AbstractContextManager[None]:
    """Processes exchange gradients only after the last part of a step."""
    return nullcontext() if is_last or not isinstance(loss_module, DistributedDataParallel) else loss_module.no_sync()


def _autocast(config: LoopConfig) -> torch.autocast:
    dtype = torch.float16 if config.precision == "float16" else torch.bfloat16
    return torch.autocast(config.context.device.partition(":")[0], dtype, enabled=config.precision != "float32")


def _to_device(batch: Any, device: str) -> Any:
    """Tensors, alone or in dataclasses, lists and dicts, on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, list):
        return [_to_device(each, device) for each in batch]
    if isinstance(batch, dict):
        return {name: _to_device(each, device) for name, each in batch.items()}
    return replace(batch, **{entry.name: _to_device(getattr(batch, entry.name), device) for entry in fields(batch)})


class _Display:
    """The logs and the progress line of a run, both of the main process alone."""

    def __init__(self, out: Path, first_step: int, total: int, config: LoopConfig, console: Console) -> None:
        self._logs = _open_logs(out, first_step, config.runtime) if config.context.is_main else []
        self._console = config.context.console(console)
        self._progress = StepProgress("training", total, self._console)
        self._batch_size = config.batch_size
        self._losses: list[float] = []

    def step(self, step: int, lr_factor: float, metrics: dict[str, float]) -> None:
        """Show and log a step."""
        speed = self._progress.update(step, self._batch_size, metrics)
        self._losses.append(metrics["loss"])
        self.log(step, {"lr_factor": lr_factor, **metrics, "images_per_second": round(speed, 2)})

    def log(self, step: int, entry: dict[str, Any]) -> None:
        """Log an entry."""
        for log in self._logs:
            log.write({"step": step, **entry})

    def conclude(self, seconds: float, waited: float, images: float) -> None:
        """Say how long a run took, how fast it was, and whether its loss had come to rest."""
        shown = f"trained in {seconds:.0f} s"
        if images:
            share = 100 * waited / seconds
            shown += f": {images / seconds:.1f} images/s; {share:.0f} % of the time went into waiting for images"
        self._console.print(shown, highlight=False)
        if self._still_falls():
            self._console.print("the loss was still falling at the end: more epochs may help", highlight=False)

    def _still_falls(self) -> bool:
        """Whether the mean loss of the last fifth of the steps is far below that of the fifth before."""
        fifth = len(self._losses) // 5
        before, last = (sum(part) for part in (self._losses[-2 * fifth : -fifth], self._losses[-fifth:]))
        return fifth > 0 and last < (1 - _STILL_FALLING) * before

    def close(self) -> None:
        """Close the logs and leave the terminal as it was."""
        self._progress.close()
        for log in self._logs:
            log.close()


def _open_logs(out: Path, first_step: int, runtime: RuntimeConfig) -> list[Log]:
    logs: list[Log] = [JsonLog(out / LOG, first_step)]
    if runtime.tensorboard:
        logs.append(TensorBoardLog(out / "tensorboard", first_step))
    return logs
