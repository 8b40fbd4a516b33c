"""The training loop: all of it, in one place.

A run is a function of its seed. The order of an epoch, the augmentation of a sample and the noise of a step each have a
seed of their own, so a run that was killed and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from rich.console import Console
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from bana.engine.checkpoint import load_metadata, load_tensors, optimizer_tensors, restore_optimizer, save_tensors
from bana.engine.distributed import RuntimeConfig
from bana.engine.plan import LoopConfig, Part
from bana.engine.progress import JsonLog, Log, StepProgress, TensorBoardLog
from bana.errors import CheckpointError

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"

_LEARNED = "learned"
"""Among the metrics of a step, the loss whose gradients were taken."""


class Model(Protocol):
    """A network that knows which tensors are its own; what its settings rebuild is not saved."""

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors to save."""

    def load_trained_state(self, state: dict[str, Tensor], source: str) -> None:
        """Put them back. Raises CheckpointError if they are of another model."""

    def train(self, mode: bool = True) -> Any:
        """Switch between training and inference."""


class Stage(Protocol):
    """What a stage gives the loop."""

    @property
    def model(self) -> Model:
        """What is trained."""

    @property
    def optimizer(self) -> optim.Optimizer:
        """What trains it; its learning rates are those before the schedule's factor."""

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and the metrics to show (the loss among them).

        Where several processes train together, each has a share of the batch, and both are shares: those of all
        processes add up to what one would have. All of them give metrics of the same names.
        """

    def rate(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` (0..1) of all steps."""


@dataclass(frozen=True)
class Validated:
    """What was measured after an epoch.

    Attributes:
        metrics: To log.
        score: By which the best weights are chosen, the greater the better; None: nothing was scored.
    """

    metrics: dict[str, float]
    score: float | None = None


def train(
    stage: Stage,
    samples: Dataset[Any],
    count: int,
    collate: Callable[[list[Any]], Any],
    loop: LoopConfig,
    out: Path,
    identity: dict[str, Any],
    console: Console,
    after_epoch: Callable[[int], Validated] | None = None,
    keep_best: Callable[[], None] | None = None,
) -> None:
    """Train a stage's model in place, from its checkpoint in ``out`` if there is one.

    Args:
        stage: Model, optimizer, loss and schedule. The model is on the loop's device.
        samples: Answers ``samples[(epoch, index)]`` for index in 0..count-1.
        count: Samples in an epoch.
        collate: Makes a batch, a tensor or a dataclass of tensors, of a list of samples.
        loop: Epochs, batch size and seeds.
        out: The run's folder; gets ``log.jsonl`` and ``checkpoint.safetensors``.
        identity: What the run depends on (settings, data); a checkpoint of another identity is refused.
        console: Where progress is shown.
        after_epoch: Called with the number of finished epochs, from 0 on; it may switch the model to inference.
        keep_best: Called after an epoch whose score is better than all before, to keep the model as it is then.

    Raises:
        CheckpointError: If the checkpoint belongs to another run, or the loss becomes infinite or NaN.
        OutputError: If ``out`` cannot be written.
    """
    processes, runtime = loop.processes, loop.runtime
    scaler = torch.amp.GradScaler(processes.device.partition(":")[0], enabled=loop.precision == "float16")
    first_step, best = _restore(stage, scaler, out / CHECKPOINT, identity)
    total, an_epoch = loop.steps(count), loop.steps_an_epoch(count)
    base_rates = [group["lr"] for group in stage.optimizer.param_groups]
    logs = _logs(out, first_step, runtime) if processes.first else []
    progress = StepProgress("training", total, processes.console(console))
    batches = DataLoader(
        samples,
        batch_sampler=(part.keys for parts in loop.steps_from(first_step, count) for part in parts),
        collate_fn=collate,
        num_workers=runtime.workers,
        multiprocessing_context="spawn" if runtime.workers else None,
    )
    shares = processes.wrap(_Shares(stage))

    def finish_epoch(epoch: int, step: int) -> None:
        nonlocal best
        if after_epoch is None:
            return
        validated = after_epoch(epoch)
        if validated.metrics:
            _write(logs, {"step": step, "epoch": epoch, **validated.metrics})
        if validated.score is not None and validated.score > (-math.inf if best is None else best):
            best = validated.score
            if keep_best is not None and processes.first:
                keep_best()

    began = saved = time.monotonic()
    try:
        if first_step == 0:
            finish_epoch(0, 0)
        stage.model.train()
        coming = iter(batches)
        for step, parts in enumerate(loop.steps_from(first_step, count), first_step):
            factor = stage.rate(step / total)
            for group, rate in zip(stage.optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * factor
            torch.manual_seed(loop.seed_of_step(step))
            stage.optimizer.zero_grad(set_to_none=True)
            metrics = processes.totals(_backward(shares, parts, coming, scaler, loop))
            if not math.isfinite(loss := metrics.pop(_LEARNED)):
                raise CheckpointError(f"{out}: the loss is {loss} at step {step}; lower the learning rate")
            scaler.step(stage.optimizer)
            scaler.update()
            speed = progress.update(step, loop.batch_size, metrics)
            _write(logs, {"step": step, "rate": factor, **metrics, "images_per_second": round(speed, 2)})
            if (step + 1) % an_epoch == 0:
                finish_epoch((step + 1) // an_epoch, step)
                stage.model.train()
            if processes.first and (time.monotonic() - saved >= runtime.checkpoint_seconds or step + 1 == total):
                _save(stage, scaler, out / CHECKPOINT, {"steps": step + 1, "identity": identity, "best": best})
                saved = time.monotonic()
    finally:
        progress.close()
        for log in logs:
            log.close()
    stage.model.train(False)
    processes.console(console).print(f"trained in {time.monotonic() - began:.0f} s", highlight=False)


class _Shares(nn.Module):
    """A stage's loss as a module, so that gradients of everything in it are brought together."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.model = cast("nn.Module", stage.model)
        self._stage = stage

    def forward(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        return self._stage.loss(batch)


def _backward(
    shares: nn.Module, parts: list[Part], batches: Iterator[Any], scaler: torch.amp.GradScaler, loop: LoopConfig
) -> dict[str, float]:
    """The gradients of a step, part by part; returns this process's share of its metrics, and of what is learned."""
    weighted: dict[str, float] = {}
    weights: dict[str, float] = {}
    for number, part in enumerate(parts, 1):
        with _local_until(number == len(parts), shares):
            with _autocast(loop):
                loss, metrics = shares(_moved(next(batches), loop.processes.device))
            # Of gradients the mean over processes is taken, but a loss is the sum of its shares.
            scaler.scale(loss * part.weight * loop.processes.count).backward()
        for name, value in {**metrics, _LEARNED: loss.item()}.items():
            weighted[name] = weighted.get(name, 0.0) + part.weight * value
            weights[name] = weights.get(name, 0.0) + part.weight
    return {name: value / weights[name] for name, value in weighted.items()}


def _local_until(last: bool, shares: nn.Module) -> AbstractContextManager[None]:
    """DistContext exchange gradients after the last part of a step alone."""
    return nullcontext() if last or not isinstance(shares, DistributedDataParallel) else shares.no_sync()


def _logs(out: Path, first_step: int, runtime: RuntimeConfig) -> list[Log]:
    logs: list[Log] = [JsonLog(out / LOG, first_step)]
    if runtime.tensorboard:
        logs.append(TensorBoardLog(out / "tensorboard", first_step))
    return logs


def _autocast(loop: LoopConfig) -> torch.autocast:
    dtype = torch.float16 if loop.precision == "float16" else torch.bfloat16
    return torch.autocast(loop.processes.device.partition(":")[0], dtype, enabled=loop.precision != "float32")


def _moved(batch: Any, device: str) -> Any:
    """Tensors, alone or in dataclasses, lists and dicts, on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, list):
        return [_moved(each, device) for each in batch]
    if isinstance(batch, dict):
        return {name: _moved(each, device) for name, each in batch.items()}
    return replace(batch, **{entry.name: _moved(getattr(batch, entry.name), device) for entry in fields(batch)})


def _write(logs: Sequence[Log], entry: dict[str, Any]) -> None:
    for log in logs:
        log.write(entry)


def check_same_run(checkpoint: Path, identity: dict[str, Any]) -> None:
    """Refuse a checkpoint of another run, if there is one.

    Raises:
        CheckpointError: If the file is damaged, or its identity is another; says what differs.
    """
    if not checkpoint.exists():
        return
    before = load_metadata(checkpoint).get("identity")
    changed = sorted(_differences(before if isinstance(before, dict) else {}, identity))
    if changed:
        raise CheckpointError(
            f"{checkpoint}: of a run with other {', '.join(changed)}; resume with the same, or choose another --out"
        )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """The names under which two nested mappings differ, joined by dots."""
    for name in before.keys() | now.keys():
        first, second = before.get(name), now.get(name)
        if isinstance(first, dict) and isinstance(second, dict):
            yield from (f"{name}.{inner}" for inner in _differences(first, second))
        elif first != second:
            yield name


def _save(stage: Stage, scaler: torch.amp.GradScaler, path: Path, metadata: dict[str, Any]) -> None:
    tensors = {f"model.{name}": value for name, value in stage.model.trained_state().items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(stage.optimizer).items()}
    save_tensors(path, tensors, metadata | {"scaler": scaler.state_dict()})


def _restore(
    stage: Stage, scaler: torch.amp.GradScaler, path: Path, identity: dict[str, Any]
) -> tuple[int, float | None]:
    """Put a checkpoint into the stage; returns the steps it has taken (0: there is none) and its best score so far."""
    if not path.exists():
        return 0, None
    check_same_run(path, identity)
    tensors, metadata = load_tensors(path)
    stage.model.load_trained_state(_part(tensors, "model."), str(path))
    restore_optimizer(stage.optimizer, _part(tensors, "optimizer."), path)
    steps, best, scale = metadata.get("steps"), metadata.get("best"), metadata.get("scaler") or {}
    sound = isinstance(scale, dict) and scale.keys() >= scaler.state_dict().keys()
    if type(steps) is not int or steps < 0 or not sound or not all(map(_is_plain, (best, *scale.values()))):
        raise CheckpointError(f"{path}: does not say how far its run came; begin anew in another --out")
    scaler.load_state_dict(scale)
    return steps, best


def _is_plain(value: object) -> bool:
    return type(value) in (int, float, type(None))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
