"""The training loop: all of it, in one place.

A run is a function of its seed. The order of an epoch, the augmentation of a sample and the noise of a step each have a
seed of their own, so a run that was killed and resumed takes the same steps as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from rich.console import Console
from torch import Tensor, optim
from torch.utils.data import DataLoader, Dataset

from bana.engine.checkpoint import load_metadata, load_tensors, optimizer_tensors, restore_optimizer, save_tensors
from bana.engine.progress import JsonLog, Log, StepProgress, TensorBoardLog
from bana.engine.seeds import seed_of, shuffled
from bana.errors import LabelerError

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"

Precision = Literal["float32", "bfloat16", "float16"]
"""Of what a step computes; weights are float32 always."""

SampleKey = tuple[int, int]
"""Epoch and index: what a data set is asked for, so that augmentation depends on both and on nothing else."""


class Model(Protocol):
    """A network that knows which tensors are its own; what its settings rebuild is not saved."""

    def own_state(self) -> dict[str, Tensor]:
        """The tensors to save."""

    def load_own_state(self, state: dict[str, Tensor], source: str) -> None:
        """Put them back. Raises LabelerError if they are of another model."""

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
        """The loss of a batch, and the metrics to show (the loss among them)."""

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


@dataclass(frozen=True)
class Loop:
    """How a run steps through its data.

    Attributes:
        epochs: Passes over the samples.
        batch_size: Samples a step; the last step of an epoch takes what is left.
        seed: Of everything random.
        workers: Processes that prepare samples; 0 prepares them in the training process.
        checkpoint_seconds: Least time between checkpoints; 0 saves after every step.
        device: Where the network is: ``cpu``, ``cuda``, ``cuda:1``, ...
        precision: Of what a step computes; ``float16`` scales the loss, as its gradients need.
        tensorboard: Log for TensorBoard too, in the run's folder ``tensorboard``.
    """

    epochs: int
    batch_size: int
    seed: int
    workers: int = 0
    checkpoint_seconds: float = 10.0
    device: str = "cpu"
    precision: Precision = "float32"
    tensorboard: bool = False

    def batches(self, samples: int, first_step: int) -> Iterator[list[SampleKey]]:
        """The keys of every batch from ``first_step`` on."""
        step = 0
        for epoch in range(self.epochs):
            order = shuffled(samples, self.seed, "order", epoch)
            for begin in range(0, samples, self.batch_size):
                if step >= first_step:
                    yield [(epoch, index) for index in order[begin : begin + self.batch_size]]
                step += 1

    def steps(self, samples: int) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_an_epoch(samples)

    def steps_an_epoch(self, samples: int) -> int:
        """Steps of one epoch."""
        return -(-samples // self.batch_size)


def train(
    stage: Stage,
    samples: Dataset[Any],
    count: int,
    collate: Callable[[list[Any]], Any],
    loop: Loop,
    out: Path,
    identity: dict[str, Any],
    console: Console,
    after_epoch: Callable[[int], Validated] | None = None,
    keep_best: Callable[[], None] | None = None,
) -> None:
    """Train a stage's model in place, from its checkpoint in ``out`` if there is one.

    Args:
        stage: Model, optimiser, loss and schedule. The model is on the loop's device.
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
        LabelerError: If the checkpoint belongs to another run, or the loss becomes infinite or NaN.
        OutputError: If ``out`` cannot be written.
    """
    scaler = torch.amp.GradScaler(loop.device.partition(":")[0], enabled=loop.precision == "float16")
    first_step, best = _restore(stage, scaler, out / CHECKPOINT, identity)
    total, an_epoch = loop.steps(count), loop.steps_an_epoch(count)
    base_rates = [group["lr"] for group in stage.optimizer.param_groups]
    logs: list[Log] = [JsonLog(out / LOG, first_step)]
    if loop.tensorboard:
        logs.append(TensorBoardLog(out / "tensorboard", first_step))
    progress = StepProgress("training", total, console)
    batches = DataLoader(
        samples,
        batch_sampler=list(loop.batches(count, first_step)),
        collate_fn=collate,
        num_workers=loop.workers,
        multiprocessing_context="spawn" if loop.workers else None,
    )

    def finish_epoch(epoch: int, step: int) -> None:
        nonlocal best
        if after_epoch is None:
            return
        validated = after_epoch(epoch)
        if validated.metrics:
            _write(logs, {"step": step, "epoch": epoch, **validated.metrics})
        if validated.score is not None and validated.score > (-math.inf if best is None else best):
            best = validated.score
            if keep_best is not None:
                keep_best()

    saved = time.monotonic()
    try:
        if first_step == 0:
            finish_epoch(0, 0)
        stage.model.train()
        for step, batch in enumerate(batches, first_step):
            factor = stage.rate(step / total)
            for group, rate in zip(stage.optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * factor
            torch.manual_seed(seed_of(loop.seed, "step", step))
            with _autocast(loop):
                loss, metrics = stage.loss(_moved(batch, loop.device))
            if not torch.isfinite(loss):
                raise LabelerError(f"{out}: the loss is {loss.item()} at step {step}; lower the learning rate")
            stage.optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(stage.optimizer)
            scaler.update()
            speed = progress.update(step, loop.batch_size, metrics)
            _write(logs, {"step": step, "rate": factor, **metrics, "images_per_second": round(speed, 2)})
            if (step + 1) % an_epoch == 0:
                finish_epoch((step + 1) // an_epoch, step)
                stage.model.train()
            if time.monotonic() - saved >= loop.checkpoint_seconds or step + 1 == total:
                _save(stage, scaler, out / CHECKPOINT, {"steps": step + 1, "identity": identity, "best": best})
                saved = time.monotonic()
    finally:
        progress.close()
        for log in logs:
            log.close()
    stage.model.train(False)


def _autocast(loop: Loop) -> torch.autocast:
    dtype = torch.float16 if loop.precision == "float16" else torch.bfloat16
    return torch.autocast(loop.device.partition(":")[0], dtype, enabled=loop.precision != "float32")


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
        LabelerError: If the file is damaged, or its identity is another; says what differs.
    """
    if not checkpoint.exists():
        return
    before = load_metadata(checkpoint).get("identity")
    changed = sorted(_differences(before if isinstance(before, dict) else {}, identity))
    if changed:
        raise LabelerError(
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
    tensors = {f"model.{name}": value for name, value in stage.model.own_state().items()}
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
    stage.model.load_own_state(_part(tensors, "model."), str(path))
    restore_optimizer(stage.optimizer, _part(tensors, "optimizer."), path)
    steps, best, scale = metadata.get("steps"), metadata.get("best"), metadata.get("scaler") or {}
    sound = isinstance(scale, dict) and scale.keys() >= scaler.state_dict().keys()
    if type(steps) is not int or steps < 0 or not sound or not all(map(_is_plain, (best, *scale.values()))):
        raise LabelerError(f"{path}: does not say how far its run came; begin anew in another --out")
    scaler.load_state_dict(scale)
    return steps, best


def _is_plain(value: object) -> bool:
    return type(value) in (int, float, type(None))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
