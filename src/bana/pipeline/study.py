"""What all reproductions of tables have in common: one folder, one recipe, rows that are made one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.records import BoxDataset
from bana.engine.distributed import RuntimeConfig
from bana.engine.run_folder import versions
from bana.errors import OutputError, SettingsError
from bana.io.strict_json import read_json_object
from bana.pipeline.recipe import Recipe
from bana.pipeline.stages import PipelineContext
from bana.pipeline.steps import MANIFEST, Steps, content_digest


def open_study(
    dataset: BoxDataset,
    recipe: Recipe,
    out: Path,
    folders: Sequence[str],
    *,
    seed: int,
    runtime: RuntimeConfig,
    workers: int,
    console: Console,
) -> PipelineContext:
    """The workshop of a study's folder; its arguments are those of ``reproduce``, and the folders of its steps.

    Raises:
        OutputError: If ``out`` holds runs with another recipe or other images, or folders that no study has made.
    """
    facts = {
        "settings": recipe.model_dump(mode="json"),
        "seed": seed,
        "versions": versions(),
        "data": content_digest(dataset),
    }
    _check_same_study(out, facts)
    steps = Steps(out, facts, folders, console)
    return PipelineContext(steps, recipe, seed, runtime, workers, "stop", console)


def _check_same_study(out: Path, facts: dict[str, Any]) -> None:
    """Refuse a folder with runs of another recipe or other images: its figures would stand in one table with ours."""
    before = read_json_object(out / MANIFEST) if (out / MANIFEST).exists() else facts
    changed = [name for name in ("settings", "seed", "data") if before.get(name) != facts[name]]
    if changed:
        raise OutputError(f"{out}: holds runs with other {', '.join(changed)}; choose another --out")


def check_rows(rows: Iterable[str], known: Iterable[str]) -> None:
    """Raise SettingsError if a row is not of the table."""
    known = list(known)
    unknown = [name for name in rows if name not in known]
    if unknown:
        raise SettingsError(f"rows: {unknown[0]!r} is not one of {', '.join(known)}")
