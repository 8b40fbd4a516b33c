"""How a training runs, whichever stage it is of."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console

from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.io.faults import OnError


@dataclass(frozen=True)
class RunOptions:
    """The arguments that trainings of all stages share.

    Attributes:
        seed: Random seed; the same seed gives the same network.
        on_error: ``stop`` at an image that cannot be used, or ``skip`` it and note it in ``rejected.jsonl``.
        console: Where progress is shown (default: nowhere).
        runtime: Device, workers and checkpoints; nothing in it changes the result.
    """

    seed: int = 0
    on_error: OnError = "stop"
    console: Console = field(default_factory=lambda: Console(quiet=True))
    runtime: RuntimeConfig = DEFAULT_RUNTIME
