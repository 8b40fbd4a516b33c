"""`bana run`: from images with boxes to a trained network that needs no boxes, its scores and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.label_folder import LabelFolder, labeled_part
from bana.data.label_maps import png
from bana.data.records import BoxDataset
from bana.engine.distributed import DEFAULT_RUNTIME, RuntimeConfig
from bana.engine.run_folder import versions
from bana.io.faults import OnError
from bana.io.files import file_digest, write_bytes
from bana.io.locking import exclusive
from bana.pipeline.choice import LabelerChoice, choose_labeler
from bana.pipeline.context import PipelineContext, has_truth
from bana.pipeline.picture import run_picture
from bana.pipeline.recipe import Recipe
from bana.pipeline.steps import Steps, content_digest
from bana.segment.model import SEGMENTER
from bana.segment.validation import check_truth

PICTURE = "run.png"

FOLDERS = ("classify", "untrained", "unrefined", "refine", "trained", "labeler", "labels", "segment")
"""The folders of the steps."""


@dataclass(frozen=True)
class PipelineRun:
    """Result of a run.

    Attributes:
        out: The run folder.
        dataset: The images that the networks learned from.
        rejected: Number of images that could not be used.
        skipped: Names of the steps that were unchanged.
        seconds: Seconds of every step, in the call that finished it.
        choice: The labeler that was kept; None where the recipe has no refiner.
        labels: Scores of the labels as plain values; None where not every image has a true mask.
        network: Scores of the network as plain values, under ``plain`` and ``crf``; None as before.
        scored: The images that the network was scored on: ``validation``, ``training`` or None.
    """

    out: Path
    dataset: BoxDataset
    rejected: int
    skipped: frozenset[str]
    seconds: dict[str, float]
    choice: LabelerChoice | None
    labels: dict[str, Any] | None
    network: dict[str, Any] | None
    scored: str | None

    def as_dict(self) -> dict[str, Any]:
        """The run for JSON."""
        return {
            "images": len(self.dataset),
            "rejected": self.rejected,
            "skipped": sorted(self.skipped),
            "seconds": self.seconds,
            "labeler": None if self.choice is None else self.choice.as_dict(),
            "labels": self.labels,
            "network": self.network,
            "scored_on": self.scored,
            "network_file": str(self.out / "segment" / SEGMENTER.file_name),
            "picture": str(self.out / PICTURE),
        }


@exclusive
def run_pipeline(
    dataset: BoxDataset,
    validation: BoxDataset | None,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    runtime: RuntimeConfig = DEFAULT_RUNTIME,
    workers: int,
    on_error: OnError = "stop",
    console: Console,
) -> PipelineRun:
    """Classify, refine, label, segment and evaluate, each only where its inputs or settings have changed.

    Args:
        dataset: Images with boxes.
        validation: Images with true masks to score the network on (default: those of ``dataset``, if all have masks).
        recipe: Settings of all stages.
        out: The run folder: ``run.json`` (settings, versions, seed, data, metrics), ``timings.json``, ``run.png``, and
            a folder for every stage.
        seed: Random seed.
        runtime: Device and options of training.
        workers: Number of processes that label and score.
        on_error: ``skip`` leaves out images that cannot be used.
        console: Shows progress.

    Raises:
        DataError: If an image cannot be used (``stop``), a validation image has no true mask, or the folder's
            ``run.json`` is damaged.
        OutputError: If ``out`` cannot be written, or holds folders that no run has made.
        SettingsError: If a backbone, its weights or the device cannot be had.
    """
    if validation is not None:
        check_truth(validation, dataset)
    facts = {"settings": recipe.model_dump(mode="json"), "seed": seed, "versions": versions(), "data": _facts(dataset)}
    steps = Steps(out, facts, FOLDERS, console)
    context = PipelineContext(steps, recipe, seed, runtime, workers, on_error, console)
    classifier = context.classify(dataset)
    choice = choose_labeler(context, dataset, classifier) if recipe.label.refine else None
    method = context.recipe_labels(choice.labeler if choice else classifier)
    labels = context.label("labels", dataset, method, known=choice.labels if choice else None)
    labeled = labeled_part(dataset, LabelFolder(labels))  # all, or with skip those that could be used
    network = context.segment("segment", recipe.segment, labeled, labels, classifier, validation=validation)
    label_scores = context.score_labels("evaluate labels", labels, labeled) if has_truth(labeled) else None
    scored = validation or (labeled if label_scores is not None else None)
    network_scores = None if scored is None else context.score("evaluate", network, scored)
    kept = None if choice is None else choice.as_dict()
    steps.note(metrics={"labels": label_scores, "network": network_scores}, labeler=kept)
    steps.do(
        "picture",
        [file_digest(network / SEGMENTER.file_name), facts["data"], recipe.predict.model_dump(mode="json")],
        lambda _: write_bytes(out / PICTURE, png(run_picture(labeled, labels, network, recipe.predict))),
        lambda _: (out / PICTURE).is_file(),
    )
    where = None if scored is None else "training" if validation is None else "validation"
    rejected = len(dataset) + len(dataset.rejected) - len(labeled)
    return PipelineRun(
        out, labeled, rejected, frozenset(steps.skipped), steps.seconds, choice, label_scores, network_scores, where
    )


def _facts(dataset: BoxDataset) -> dict[str, Any]:
    return {
        "root": str(dataset.root),
        "format": dataset.format,
        "split": dataset.split,
        "images": len(dataset),
        "classes": list(dataset.classes),
        "content": content_digest(dataset),
    }
