"""What `bana segment --task instance` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bana.cli.common import console, end_training
from bana.errors import SettingsError

if TYPE_CHECKING:
    from bana.engine.distributed import RuntimeConfig
    from bana.io.faults import OnError


def train_objects(
    data: Path,
    out: Path,
    *,
    labels: Path | None,
    split: str | None,
    format: str | None,
    preset: str,
    options: dict[str, Any],
    semantic: dict[str, Any],
    labeler: Path | None,
    seed: int,
    runtime: RuntimeConfig,
    on_error: OnError,
) -> None:
    """Train a Mask R-CNN; ``semantic`` are options that mean nothing to it, None where they were not given."""
    from bana.data.reading import read_dataset
    from bana.engine.options import RunOptions
    from bana.engine.run_folder import REJECTED
    from bana.instance.task import InstanceTask
    from bana.nn.train import train
    from bana.pipeline.recipe import Recipe
    from bana.presets import load_preset, parse_settings

    if wrong := [name for name, value in semantic.items() if value is not None]:
        raise SettingsError(f"--{wrong[0]}: is for --task semantic; leave it out")
    if labels is None:
        console.print(f"no --labels: the true masks of {data} are learned", highlight=False, soft_wrap=True)
    settings = load_preset(preset, Recipe).instance
    settings = parse_settings(settings.model_dump() | options, type(settings), "options")
    task = InstanceTask(settings, labels=labels, labeler=labeler)
    file = train(task, read_dataset(data, split, format, on_error), out, RunOptions(seed, on_error, console, runtime))
    end_training(file, out / REJECTED)
