"""Which labeler a run keeps: the one that it trained, or bana's own as it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bana.classify.model import LABELER
from bana.data.label_folder import LabelFolder, labeled_part
from bana.data.records import BoxDataset
from bana.evaluate.without_truth import label_fit
from bana.io.files import file_digest
from bana.nn.initialization import pretrained_path
from bana.nn.network_file import copy_network
from bana.pipeline.context import PipelineContext
from bana.pipeline.steps import content_digest

MAX_IMAGES = 100
"""The most images on which two labelers are compared."""

MIN_GAIN = 1.01
"""The trained labeler is kept if its masks fit better by this factor; smaller differences say nothing."""


@dataclass(frozen=True)
class LabelerChoice:
    """The labeler that a run keeps.

    Attributes:
        name: ``untrained`` (bana's own) or ``trained``.
        labeler: Its file or run folder.
        labels: Its labels of the images that it was compared on, or of more.
        fits: The mean fit of the masks by each of the two labelers (``bana.evaluate.without_truth``).
    """

    name: Literal["untrained", "trained"]
    labeler: Path
    labels: Path
    fits: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The choice for JSON."""
        return {"kept": self.name, "fit": self.fits}


def choose_labeler(context: PipelineContext, dataset: BoxDataset, classifier: Path) -> LabelerChoice:
    """Train a refiner; then keep the trained labeler if its masks fit images and boxes better than bana's own do.

    A refiner that starts from bana's own learns from the labels of bana's own labeler and is joined to it: a classifier
    that was trained on few images makes worse labels. One that starts from its backbone does so with the classifier.

    Args:
        context: The run. Its folder gets ``untrained``, ``trained``, ``refine``, ``labeler`` and, where the refiner
            learns from the classifier, ``unrefined``.
        dataset: The images.
        classifier: The trained box classifier's folder.
    """
    sample = spaced(dataset, MAX_IMAGES)
    own = context.recipe_labels(pretrained_path())
    if context.recipe.refine.start == "labeler":
        base = pretrained_path()
        untrained = teacher = context.label("untrained", dataset, own)
    else:
        base = classifier
        untrained = context.label("untrained", sample, own)
        teacher = context.label("unrefined", dataset, context.recipe_labels(classifier))
    refined = context.refine(labeled_part(dataset, LabelFolder(teacher)), teacher, base)
    trained = context.label("trained", sample, context.recipe_labels(refined))
    fits = _fits(context, {"untrained": untrained, "trained": trained}, sample)
    choice = (
        LabelerChoice("trained", refined, trained, fits)
        if fits["trained"] > MIN_GAIN * fits["untrained"]
        else LabelerChoice("untrained", pretrained_path(), untrained, fits)
    )
    _keep(context, choice.labeler)
    return choice


def spaced(dataset: BoxDataset, count: int) -> BoxDataset:
    """At most so many images of a data set, evenly spaced."""
    count = min(count, len(dataset))
    return replace(dataset, records=tuple(dataset[number * len(dataset) // count] for number in range(count)))


def _fits(context: PipelineContext, folders: dict[str, Path], sample: BoxDataset) -> dict[str, float]:
    """The mean fit of the masks of each folder of labels, on the images that all have."""
    labels = {name: LabelFolder(path) for name, path in folders.items()}

    def work(_: Path) -> dict[str, Any]:
        labeled = sample
        for folder in labels.values():
            labeled = labeled_part(labeled, folder)
        return {name: label_fit(folder, labeled.records) for name, folder in labels.items()}

    depends = [content_digest(sample), {name: folder.labeling for name, folder in labels.items()}]
    return context.steps.do("compare labelers", depends, work)


def _keep(context: PipelineContext, labeler: Path) -> None:
    """Copy the kept labeler, with the recipe's label settings, to where ``--labeler`` of the run's folder finds it."""
    file, settings = LABELER.path(labeler), context.recipe.label.model_dump(mode="json")

    def work(folder: Path) -> None:
        copy_network(file, folder / LABELER.file_name, label=settings)

    depends = [file_digest(file), settings]
    context.steps.do("labeler", depends, work, lambda folder: (folder / LABELER.file_name).is_file())
