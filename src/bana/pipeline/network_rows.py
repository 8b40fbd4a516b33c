"""Making the rows of tables 3 to 5: labels, networks in one round of training or more, and their scores."""

from __future__ import annotations

from pathlib import Path

from bana.data.label_maps import write_label_map
from bana.data.truth import required_truth
from bana.engine.seeds import seed_of
from bana.label.methods.choose import MethodChoice
from bana.pipeline.context import PipelineContext
from bana.pipeline.rows import ROWS, Row
from bana.pipeline.study import Study


def networks(study: Study) -> dict[str, tuple[str, int]]:
    """The networks to train, each with its row and seed."""
    return {f"{name}-{seed}": (name, seed) for seed in study.seeds for name in study.rows}


def network_folders(study: Study) -> list[str]:
    """The folders of labels, of networks, and of what updates need in between."""
    folders = list(_first_labels(study))
    for folder, (name, _) in networks(study).items():
        between = [_between(folder, number) for number in range(1, ROWS[name].rounds)]
        folders += [folder, *(each for pair in between for each in pair)]
    return folders


def make_networks(context: PipelineContext, study: Study) -> None:
    """Train and score segmentation networks.

    Raises:
        SettingsError: If a method of labeling needs a package that is not installed; nothing is trained before.
    """
    assert study.validation is not None
    first = _first_labels(study)
    for other in filter(None, first.values()):
        MethodChoice(other).open(study.dataset.classes, threads=1)
    masks = {name: _masks(ROWS[name], study, context.steps.out / "truth") for name in study.rows}
    labeler = context.classify(study.dataset)
    for folder, method in first.items():
        choice = context.recipe_labels(labeler) if method is None else MethodChoice(method)
        context.label(folder, study.dataset, choice)
    for folder, (name, seed) in networks(study).items():
        network = _network(context, study, folder, ROWS[name], labeler, masks[name], seed)
        context.score(f"score {folder}", network, study.validation)


def _network(
    context: PipelineContext,
    study: Study,
    folder: str,
    row: Row,
    labeler: Path,
    masks: dict[str, Path],
    seed: int,
) -> Path:
    """Train a row's network in all its rounds; returns the last one's folder."""
    settings = study.recipe.segment.model_copy(update={"loss": row.loss})
    labels = first = context.steps.out / row.labels
    for number in range(1, row.rounds):
        assert row.update is not None
        network, updated = _between(folder, number)
        context.segment(network, settings, study.dataset, labels, labeler, masks=masks, seed=seed)
        labels = context.update(
            updated, row.update, study.dataset, context.steps.out / network, first, seed=seed_of(seed, "update", number)
        )
    return context.segment(
        folder,
        settings,
        study.dataset,
        None if row.source == "masks" else labels,
        labeler,
        masks=masks,
        seed=seed,
    )


def _first_labels(study: Study) -> dict[str, str | None]:
    """The folders of first labels, each with its method; None is the recipe's."""
    return {ROWS[name].labels: ROWS[name].method for name in study.rows}


def _between(folder: str, number: int) -> tuple[str, str]:
    """The folders of a round that is not the last: its network, and the labels that follow from it."""
    return f"{folder}-round{number}", f"{folder}-labels{number}"


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
