"""`bana reproduce`: the paper's tables 3 to 5 on a data set with true masks, its figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.label_maps import write_label_map
from bana.data.masks import required_truth
from bana.data.records import BoxDataset
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.engine.seeds import shuffled
from bana.io.locking import alone
from bana.pipeline.recipe import Recipe
from bana.pipeline.rows import ROWS, TABLES, Row
from bana.pipeline.stages import PipelineContext
from bana.pipeline.steps import Steps
from bana.pipeline.study import check_rows, open_study
from bana.segment.scoring import STEPS
from bana.segment.train import check_truth


@dataclass(frozen=True)
class Study:
    """What a reproduction is made of.

    Attributes:
        table: ``table3``, ``table4`` or ``table5``.
        dataset: Images with boxes to learn from, such as VOC's train_aug.
        validation: Images with true masks to score on; nothing is chosen by them.
        recipe: Settings of all stages.
        rows: Names of the rows to make now; those made before are shown too.
        seeds: Seeds of the segmentation networks.
        masked: Images whose true masks the row ``semi`` may see.
    """

    table: str
    dataset: BoxDataset
    validation: BoxDataset
    recipe: Recipe
    rows: Sequence[str]
    seeds: Sequence[int]
    masked: Sequence[str]


@dataclass(frozen=True)
class Reproduction:
    """The figures of a table.

    Attributes:
        table: Its name.
        ours: mIoU by row, step (``plain``, ``crf``) and seed.
    """

    table: str
    ours: Mapping[str, Mapping[str, Mapping[int, float]]]

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        rows = {}
        for name, paper in TABLES[self.table].items():
            seeds = self.ours.get(name, {})
            rows[name] = {
                "title": ROWS[name].title,
                "paper": dict(zip(STEPS, paper, strict=True)),
                "ours": {step: {str(seed): miou for seed, miou in seeds[step].items()} for step in seeds},
            }
        return {"table": self.table, "rows": rows}


@alone
def reproduce(
    study: Study, out: Path, *, seed: int = 0, runtime: RuntimeConfig = DEFAULT_RUNTIME, workers: int, console: Console
) -> Reproduction:
    """Make the rows of a table that are not made yet.

    Args:
        study: What is made.
        out: Gets the box classifier, the labels, and a folder for every row and seed; runs that were killed go on.
        seed: Of the box classifier.
        runtime: On what training computes.
        workers: DistContext that label and score.
        console: For progress.

    Raises:
        DataError: If an image has no true mask where it needs one, or cannot be used.
        OutputError: If ``out`` holds runs with another recipe or other images, or cannot be written.
        SettingsError: If a row is not of the table, or a backbone, its weights or the device cannot be had.
    """
    check_truth(study.validation, study.dataset)
    check_rows(study.rows, TABLES[study.table])
    folders = ["classify", "labels", *(_folder(name, number) for name in study.rows for number in study.seeds)]
    context = open_study(
        study.dataset, study.recipe, out, folders, seed=seed, runtime=runtime, workers=workers, console=console
    )
    masks = {name: _masks(ROWS[name], study, out / "truth") for name in study.rows}
    labeler = context.classify(study.dataset)
    labels = context.label("labels", study.dataset, context.recipe_labels(labeler))
    for number in study.seeds:
        for name in study.rows:
            _make(context, study, name, number, labels, labeler, masks[name])
    return Reproduction(study.table, _collected(context.steps, study.table))


def _make(
    context: PipelineContext, study: Study, name: str, seed: int, labels: Path, labeler: Path, masks: dict[str, Path]
) -> None:
    row = ROWS[name]
    network = context.segment(
        _folder(name, seed),
        study.recipe.segment.model_copy(update={"loss": row.loss}),
        study.dataset,
        None if row.source == "masks" else labels,
        labeler,
        masks=masks,
        seed=seed,
    )
    context.score(f"score {_folder(name, seed)}", network, study.validation)


def _folder(name: str, seed: int) -> str:
    return f"{name}-{seed}"


def _masks(row: Row, study: Study, folder: Path) -> dict[str, Path]:
    """The true masks that a row may see, by image id; those that are in annotation files are written to a folder."""
    if row.source == "labels":
        return {}
    wanted = set(study.masked) if row.source == "both" else {record.image_id for record in study.dataset}
    masks = {}
    for record in study.dataset:
        if record.image_id in wanted:
            truth = required_truth(record, study.dataset.class_table)
            masks[record.image_id] = record.semantic_path or folder / f"{record.image_id}.png"
            if record.semantic_path is None:
                write_label_map(masks[record.image_id], truth)
    return masks


def share_of(dataset: BoxDataset, share: float, seed: int) -> list[str]:
    """Ids of a random share (0..1) of a data set's images."""
    chosen = shuffled(len(dataset), seed, "masks")[: round(share * len(dataset))]
    return [dataset[index].image_id for index in sorted(chosen)]


def _collected(steps: Steps, table: str) -> dict[str, dict[str, dict[int, float]]]:
    """What all finished rows of a folder got."""
    ours: dict[str, dict[str, dict[int, float]]] = {}
    for step, facts in steps.finished():
        name, _, seed = step.removeprefix("score ").rpartition("-")
        if step.startswith("score ") and name in TABLES[table]:
            for when in STEPS:
                ours.setdefault(name, {}).setdefault(when, {})[int(seed)] = facts[when]["miou"]
    return ours
