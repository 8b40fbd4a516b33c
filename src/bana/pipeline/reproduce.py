"""`bana reproduce`: the paper's tables 2 to 6 on a data set with true masks, its figures beside ours."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bana.data.records import BoxDataset
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.engine.seeds import shuffled
from bana.io.locking import exclusive
from bana.label.methods.choose import MethodChoice
from bana.pipeline.context import PipelineContext
from bana.pipeline.network_rows import make_networks, network_folders, networks
from bana.pipeline.object_rows import OBJECT_TABLES, ObjectRow
from bana.pipeline.study import Reproduction, Study
from bana.segment.validation import check_truth


@exclusive
def reproduce(
    study: Study, out: Path, *, seed: int = 0, runtime: RuntimeConfig = DEFAULT_RUNTIME, workers: int, console: Console
) -> Reproduction:
    """Make the rows of a table that are not made yet.

    Args:
        study: What is made.
        out: Gets the box classifier, the labels, and folders for every row and seed; interrupted runs go on.
        seed: Random seed of the box classifier.
        runtime: Device and options of training.
        workers: Number of processes that label and score.
        console: Shows progress.

    Raises:
        DataError: If an image has no true mask where it needs one, or cannot be used.
        CheckpointError: If the labeler of other data is missing or damaged.
        OutputError: If ``out`` holds runs with another recipe or other images, or cannot be written.
        SettingsError: If a row is not of the table, or a backbone, its weights or the device cannot be had.
    """
    study.check_rows()
    check_truth(study.dataset if study.validation is None else study.validation, study.dataset)
    of_objects = study.table in OBJECT_TABLES
    folders = ["classify", *(_object_folders(study) if of_objects else network_folders(study))]
    context = study.open(out, folders, seed, runtime, workers, console)
    if of_objects:
        _make_objects(context, study)
    else:
        make_networks(context, study)
    return Reproduction.collected(study.table, context.steps)


def _make_objects(context: PipelineContext, study: Study) -> None:
    """Score labels of objects (table 2), or train and score Mask R-CNNs on them (table 6)."""
    table = OBJECT_TABLES[study.table]
    labels = {name: _labels(context, study, row) for name, row in _labeled(study).items()}
    if study.validation is None:
        for name in study.rows:
            context.score_labels(f"score {name}", labels[table[name].labels], study.dataset)
        return
    labeler = context.classify(study.dataset) if study.recipe.instance.start == "labeler" else None
    for network, (name, seed) in networks(study).items():
        row, settings = table[name], study.recipe.instance
        if row.mask_loss is not None:
            settings = settings.model_copy(update={"mask_loss": row.mask_loss})
        detector = context.detect(
            f"network-{network}", settings, study.dataset, labels.get(row.labels), labeler, seed=seed
        )
        context.score_objects(f"found-network-{network}", detector, study.validation)


def _labeled(study: Study) -> dict[str, ObjectRow]:
    """The folders of objects' labels, each with a row that needs it."""
    rows = [OBJECT_TABLES[study.table][name] for name in study.rows]
    return {row.labels: row for row in rows if row.method is not None}


def _object_folders(study: Study) -> list[str]:
    trained = [f"network-{name}" for name in networks(study)]
    return [*_labeled(study), *trained, *(f"found-{name}" for name in trained)]


def _labels(context: PipelineContext, study: Study, row: ObjectRow) -> Path:
    """The folder of a row's labels; what is needed for it is trained first."""
    assert row.method is not None
    if row.method == "box":
        return context.label(row.labels, study.dataset, MethodChoice(row.method))
    labeler = study.other if row.labeler == "other" else context.classify(study.dataset)
    assert labeler is not None
    # Methods other than the labeler have the paper's settings.
    choice = context.recipe_labels(labeler) if row.method == "labeler" else MethodChoice(row.method, {"": labeler})
    return context.label(row.labels, study.dataset, choice)


def share_of(dataset: BoxDataset, share: float, seed: int) -> list[str]:
    """Ids of a random share (0..1) of a data set's images."""
    chosen = shuffled(len(dataset), seed, "masks")[: round(share * len(dataset))]
    return [dataset[index].image_id for index in sorted(chosen)]
