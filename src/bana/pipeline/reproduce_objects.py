"""`bana reproduce table2|table6`: labels of objects, and Mask R-CNNs trained on them, by mask AP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.records import BoxDataset
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.instance.settings import InstanceSettings
from bana.io.locking import alone
from bana.label.methods.choose import MethodChoice
from bana.pipeline.object_rows import FIGURES, OBJECT_TABLES, ObjectRow
from bana.pipeline.recipe import Recipe
from bana.pipeline.stages import PipelineContext
from bana.pipeline.steps import Steps
from bana.pipeline.study import check_rows, open_study
from bana.segment.train import check_truth

LABEL_TABLE = "table2"
"""The table whose rows are labels; those of the other are networks."""


@dataclass(frozen=True)
class ObjectStudy:
    """What a reproduction is made of.

    Attributes:
        table: ``table2`` or ``table6``.
        dataset: Images with boxes to label and to learn from; for table 2 with true masks.
        validation: Images with true masks to score networks on; None for table 2, which scores the labels.
        recipe: Settings of all stages.
        rows: Names of the rows to make now; those made before are shown too.
        seeds: Seeds of the networks.
        other: A labeler that was trained on other data.
    """

    table: str
    dataset: BoxDataset
    validation: BoxDataset | None
    recipe: Recipe
    rows: Sequence[str]
    seeds: Sequence[int]
    other: Path


@dataclass(frozen=True)
class ObjectReproduction:
    """The figures of a table: FIGURES by row and seed (0 for labels)."""

    table: str
    ours: Mapping[str, Mapping[int, Mapping[str, float | None]]]

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        rows = {
            name: {
                "title": row.title.strip(),
                "paper": None if row.paper is None else dict(zip(FIGURES, row.paper, strict=True)),
                "ours": {str(seed): dict(figures) for seed, figures in self.ours.get(name, {}).items()},
            }
            for name, row in OBJECT_TABLES[self.table].items()
        }
        return {"table": self.table, "rows": rows}


@alone
def reproduce_objects(
    study: ObjectStudy,
    out: Path,
    *,
    seed: int = 0,
    runtime: RuntimeConfig = DEFAULT_RUNTIME,
    workers: int,
    console: Console,
) -> ObjectReproduction:
    """Make the rows of a table that are not made yet.

    Args:
        study: What is made.
        out: Gets the box classifier, a folder for every kind of labels, and for every row and seed one with the network
            and one with what it finds; runs that were killed go on.
        seed: Of the box classifier.
        runtime: On what training computes.
        workers: DistContext that label and predict.
        console: For progress.

    Raises:
        DataError: If an image has no true mask where it needs one, or cannot be used.
        CheckpointError: If the labeler of other data is missing or damaged.
        OutputError: If ``out`` holds runs with another recipe or other images, or cannot be written.
        SettingsError: If a row is not of the table, or a backbone, its weights or the device cannot be had.
    """
    table = OBJECT_TABLES[study.table]
    check_rows(study.rows, table)
    check_truth(study.dataset if study.validation is None else study.validation, study.dataset)
    rows = {name: table[name] for name in study.rows}
    networks = [_network(name, number) for name in rows for number in study.seeds]
    labeled = {row.labels: row for row in rows.values() if row.method is not None}
    folders = ["classify", *labeled, *networks, *(f"found-{name}" for name in networks)]
    context = open_study(
        study.dataset, study.recipe, out, folders, seed=seed, runtime=runtime, workers=workers, console=console
    )
    labels = {name: _labels(context, study, row) for name, row in labeled.items()}
    if study.validation is None:
        for name, row in rows.items():
            context.score_labels(f"score {name}", labels[row.labels], study.dataset)
        return ObjectReproduction(study.table, _collected(context.steps, study.table))
    labeler = context.classify(study.dataset) if study.recipe.instance.start == "labeler" else None
    for number in study.seeds:
        for name, row in rows.items():
            folder = _network(name, number)
            settings = _settings(row, study.recipe)
            detector = context.detect(folder, settings, study.dataset, labels.get(row.labels), labeler, seed=number)
            context.score_objects(f"found-{folder}", detector, study.validation)
    return ObjectReproduction(study.table, _collected(context.steps, study.table))


def _labels(context: PipelineContext, study: ObjectStudy, row: ObjectRow) -> Path:
    """The folder of a row's labels; what is needed for it is trained first."""
    assert row.method is not None
    if row.method == "box":
        return context.label(row.labels, study.dataset, MethodChoice(row.method))
    labeler = study.other if row.labeler == "other" else context.classify(study.dataset)
    # Methods other than the labeler have the paper's settings.
    choice = context.recipe_labels(labeler) if row.method == "labeler" else MethodChoice(row.method, {"": labeler})
    return context.label(row.labels, study.dataset, choice)


def _settings(row: ObjectRow, recipe: Recipe) -> InstanceSettings:
    if row.mask_loss is None:
        return recipe.instance
    return recipe.instance.model_copy(update={"mask_loss": row.mask_loss})


def _network(name: str, seed: int) -> str:
    return f"network-{name}-{seed}"


def _collected(steps: Steps, table: str) -> dict[str, dict[int, dict[str, float | None]]]:
    """What all finished rows of a folder got."""
    ours: dict[str, dict[int, dict[str, float | None]]] = {}
    for step, facts in steps.finished():
        if table == LABEL_TABLE:
            kind, _, name = step.partition(" ")
            seed = "0"
        else:
            kind, _, name = step.partition("-network-")
            name, _, seed = name.rpartition("-")
        if kind in ("score", "found") and name in OBJECT_TABLES[table]:
            ours.setdefault(name, {})[int(seed)] = {each: facts["instances"][each] for each in FIGURES}
    return ours
