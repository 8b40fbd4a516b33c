"""Which samples each step of a training takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bana.engine.distributed import DEFAULT_RUNTIME, SINGLE_PROCESS, DistContext, RuntimeConfig
from bana.engine.seeds import seed_of, shuffled

Precision = Literal["float32", "bfloat16", "float16"]
"""The number type in which a step computes; weights are always float32."""

SampleKey = tuple[int, int]
"""Epoch and index: what a data set is asked for, so that augmentation depends on both and on nothing else."""


class Samples(Protocol):
    """A map-style data set."""

    def __len__(self) -> int:
        """Samples in an epoch."""

    def __getitem__(self, key: SampleKey, /) -> Any:
        """One sample, the same one for the same key."""


@dataclass(frozen=True)
class Part:
    """What a process works on at once.

    Attributes:
        keys: Keys of its samples.
        weight: The part's share of the step's samples.
    """

    keys: list[SampleKey]
    weight: float


@dataclass(frozen=True)
class LoopConfig:
    """How a run steps through its data.

    Attributes:
        epochs: Passes over the samples.
        batch_size: Samples a step; the last step of an epoch takes what is left.
        seed: Random seed.
        precision: Number type in which a step computes; ``float16`` scales the loss, as its gradients need.
        runtime: Device, workers and checkpoints.
        context: The processes that train together.
    """

    epochs: int
    batch_size: int
    seed: int
    precision: Precision = "float32"
    runtime: RuntimeConfig = DEFAULT_RUNTIME
    context: DistContext = SINGLE_PROCESS

    def batches(self, samples: int, first_step: int) -> Iterator[list[SampleKey]]:
        """The keys of every batch from ``first_step`` on, for all processes together."""
        step = 0
        for epoch in range(self.epochs):
            order = shuffled(samples, self.seed, "order", epoch)
            for begin in range(0, samples, self.batch_size):
                if step >= first_step:
                    yield [(epoch, index) for index in order[begin : begin + self.batch_size]]
                step += 1

    def steps_from(self, first_step: int, samples: int) -> Iterator[list[Part]]:
        """What this process works on in every step from ``first_step`` on."""
        return map(self.parts, self.batches(samples, first_step))

    def parts(self, batch: list[SampleKey]) -> list[Part]:
        """The parts in which this process works on its share of a batch; all processes have as many.

        Where there are fewer samples than processes, some samples are taken more than once.
        """
        count = min(self.runtime.accumulate, max(1, len(batch) // self.context.world_size))
        parts = [batch[number::count] for number in range(count)]
        filled = [(part * self.context.world_size)[: max(len(part), self.context.world_size)] for part in parts]
        return [
            Part(self.context.split(keys), len(part) / len(batch)) for keys, part in zip(filled, parts, strict=True)
        ]

    def steps(self, samples: int) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch(samples)

    def steps_per_epoch(self, samples: int) -> int:
        """Steps of one epoch."""
        return -(-samples // self.batch_size)

    def seed_of_step(self, step: int) -> int:
        """The seed of a step's noise, different for every process."""
        place = () if self.context.is_main else ("rank", self.context.rank)
        return seed_of(self.seed, "step", step, *place)
