"""The stages as steps of a run folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from bana.classify.model import LABELER
from bana.classify.task import ClassifyTask
from bana.data.inputs import inputs_from_records
from bana.data.label_folder import LabelFolder, is_complete
from bana.data.prediction_folder import RESULTS
from bana.data.records import BoxDataset, ImageRecord
from bana.engine.distributed import RuntimeConfig
from bana.engine.options import RunOptions
from bana.engine.prediction import predict_pictures
from bana.evaluate import evaluate_detections, evaluate_labels
from bana.evaluate.scores import LabelingScores
from bana.instance import DetectSettings
from bana.instance.model import DETECTOR
from bana.instance.predict import Detecting, write_results
from bana.instance.settings import InstanceSettings
from bana.instance.task import InstanceTask
from bana.io.faults import OnError
from bana.io.files import file_digest
from bana.label.join import join_refiner
from bana.label.methods.choose import RELIABLE, MethodChoice
from bana.label.run import label_dataset
from bana.nn.initialization import initialization_digest
from bana.nn.train import train
from bana.pipeline.affinity import train_affinity
from bana.pipeline.recipe import Recipe
from bana.pipeline.rows import Update
from bana.pipeline.steps import Steps, content_digest
from bana.pipeline.update import LabelUpdate, update_labels
from bana.refine.task import RefineTask
from bana.report.confidence import draw_confidence
from bana.segment.model import SEGMENTER
from bana.segment.scoring import score_segmenter
from bana.segment.settings import SegmentSettings
from bana.segment.task import SegmentTask


@dataclass(frozen=True)
class PipelineContext:
    """What all steps of a run share.

    Attributes:
        steps: The steps of the run folder.
        recipe: Settings of the stages.
        seed: Random seed.
        runtime: Device and options of training.
        workers: Number of processes that label and score.
        on_error: What to do about images that cannot be used.
        console: Shows progress.
    """

    steps: Steps
    recipe: Recipe
    seed: int
    runtime: RuntimeConfig
    workers: int
    on_error: OnError
    console: Console

    def run_options(self, seed: int | None = None) -> RunOptions:
        """How trainings run; the seed is the context's unless another is given."""
        return RunOptions(self.seed if seed is None else seed, self.on_error, self.console, self.runtime)

    def classify(self, dataset: BoxDataset, pooling: Literal["gap", "image"] | None = None) -> Path:
        """Train the box classifier, from bana's own labeler if the recipe starts from one; returns its folder.

        With another ``pooling`` than the recipe's it goes to a folder of its own.
        """
        changes = {} if pooling is None else {"pooling": pooling}
        settings = self.recipe.classify.model_copy(update=changes)
        name = "classify" if pooling is None else f"classify-{pooling}"

        def work(folder: Path) -> None:
            label_settings = self.recipe.label.model_dump(mode="json")
            task = ClassifyTask(settings, label_settings=label_settings)
            train(task, dataset, folder, self.run_options())

        start = initialization_digest(settings, None)
        stages = [settings.model_dump(mode="json"), self.recipe.label.model_dump(mode="json")]
        depends = [content_digest(dataset), *stages, start, self.seed]
        self.steps.do(name, depends, work, lambda folder: (folder / LABELER.file_name).is_file())
        return self.steps.out / name

    def refine(self, dataset: BoxDataset, labels: Path, labeler: Path) -> Path:
        """Train a refiner on labels and join it to the labeler that made them; returns its folder, a labeler too."""
        settings = self.recipe.refine

        def work(folder: Path) -> None:
            join_refiner(train(RefineTask(settings, labels), dataset, folder, self.run_options()), labeler, folder)

        depends = [
            content_digest(dataset),
            settings.model_dump(mode="json"),
            LabelFolder(labels).labeling,
            initialization_digest(settings, None),
            self.seed,
        ]
        self.steps.do("refine", depends, work, lambda folder: (folder / LABELER.file_name).is_file())
        return self.steps.out / "refine"

    def affinity(self, dataset: BoxDataset, labeler: Path) -> Path:
        """Train an affinity network on an image-level labeler's reliable labels, and join it; returns its folder."""
        settings, method = self.recipe.affinity, MethodChoice(RELIABLE, {"": labeler})

        def work(folder: Path) -> None:
            train_affinity(settings, dataset, labeler, folder, self.run_options(), self.workers)

        depends = [content_digest(dataset), settings.model_dump(mode="json"), method.facts(), self.seed]
        self.steps.do("affinity", depends, work, lambda folder: (folder / LABELER.file_name).is_file())
        return self.steps.out / "affinity"

    def recipe_labels(self, labeler: Path) -> MethodChoice:
        """The labels that a labeler gives by the recipe."""
        return MethodChoice(labelers={"": labeler}, options=self.recipe.label.model_dump(mode="json"))

    def label(self, name: str, dataset: BoxDataset, method: MethodChoice, *, known: Path | None = None) -> Path:
        """Label the images in the folder ``name``; returns that folder.

        Labels of the same method for some of the images, in the folder ``known``, are taken over.
        """

        def work(folder: Path) -> dict[str, Any]:
            if known is not None:
                shutil.copytree(known, folder, dirs_exist_ok=True)
            run = label_dataset(
                dataset, method, folder, workers=self.workers, on_error=self.on_error, console=self.console
            )
            return {"images": run.images, "boxes": run.boxes, "rejected": len(run.rejected)}

        def is_there(folder: Path) -> bool:
            # Which images should be there after skipping some is known by labeling alone; it keeps those that are.
            return self.on_error != "skip" and is_complete(folder, dataset)

        self.steps.do(name, [content_digest(dataset), method.facts()], work, is_there)
        return self.steps.out / name

    def segment(
        self,
        name: str,
        settings: SegmentSettings,
        dataset: BoxDataset,
        labels: Path | None,
        labeler: Path,
        *,
        validation: BoxDataset | None = None,
        masks: Mapping[str, Path] | None = None,
        seed: int | None = None,
    ) -> Path:
        """Train a segmentation network in the folder ``name``; returns that folder."""
        masks = masks or {}
        seed = self.seed if seed is None else seed
        task = SegmentTask(settings, labels=labels, masks=masks, labeler=labeler, validation=validation)

        def work(folder: Path) -> None:
            train(task, dataset, folder, self.run_options(seed))
            draw_confidence(task.targets_of(dataset), dataset, folder)

        depends = [
            content_digest(dataset),
            settings.model_dump(mode="json"),
            None if labels is None else LabelFolder(labels).labeling,
            {image_id: file_digest(path) for image_id, path in masks.items()},
            file_digest(labeler / LABELER.file_name),
            None if validation is None else content_digest(validation),
            seed,
        ]
        self.steps.do(name, depends, work, lambda folder: (folder / SEGMENTER.file_name).is_file())
        return self.steps.out / name

    def update(
        self, name: str, update: Update, dataset: BoxDataset, segmenter: Path, first: Path, *, seed: int
    ) -> Path:
        """Label the images in the folder ``name`` by a network's predictions, at one scale; returns that folder.

        Args:
            name: The folder of the new labels.
            update: By what rules.
            dataset: The images.
            segmenter: The network's folder.
            first: The folder of the first round's labels.
            seed: Random seed of what is drawn.
        """
        predict = self.recipe.predict.model_copy(update={"scales": (1.0,), "flip": False})
        file, out = segmenter / SEGMENTER.file_name, self.steps.out / name
        worker = LabelUpdate(update, file, first, out, predict, seed, self.runtime.device)

        def work(_: Path) -> None:
            update_labels(worker, dataset, self.workers, self.console)

        self.steps.do(name, [content_digest(dataset), worker.facts], work, lambda folder: is_complete(folder, dataset))
        return out

    def score_labels(self, name: str, labels: Path, dataset: BoxDataset) -> dict[str, Any]:
        """Score the labels of images that have true masks; returns what ``bana evaluate --json`` prints."""

        def work(_: Path) -> dict[str, Any]:
            return evaluate_labels(labels, dataset, boundary=False).as_dict()

        depends = [content_digest(dataset), LabelFolder(labels).labeling]
        return self.steps.do(name, depends, work)

    def score(self, name: str, segmenter: Path, dataset: BoxDataset) -> dict[str, Any]:
        """Score a network on images with true masks; returns scores of ``plain`` and ``crf`` as plain values."""

        def work(_: Path) -> dict[str, Any]:
            scores: dict[str, LabelingScores] = score_segmenter(
                segmenter,
                dataset,
                settings=self.recipe.predict,
                device=self.runtime.device,
                workers=self.workers,
                console=self.console,
            )
            classes = ("background", *dataset.classes)
            return {step: each.as_dict(classes) for step, each in scores.items()}

        depends = [
            content_digest(dataset),
            file_digest(segmenter / SEGMENTER.file_name),
            self.recipe.predict.model_dump(mode="json"),
        ]
        return self.steps.do(name, depends, work)

    def detect(
        self,
        name: str,
        settings: InstanceSettings,
        dataset: BoxDataset,
        labels: Path | None,
        labeler: Path | None,
        *,
        seed: int,
    ) -> Path:
        """Train a Mask R-CNN in the folder ``name``, on true masks where there are no labels; returns that folder."""

        def work(folder: Path) -> None:
            task = InstanceTask(settings, labels=labels, labeler=labeler)
            train(task, dataset, folder, self.run_options(seed))

        depends = [
            content_digest(dataset),
            settings.model_dump(mode="json"),
            None if labels is None else LabelFolder(labels).labeling,
            initialization_digest(settings, labeler),
            seed,
        ]
        self.steps.do(name, depends, work, lambda folder: (folder / DETECTOR.file_name).is_file())
        return self.steps.out / name

    def score_objects(self, name: str, detector: Path, dataset: BoxDataset) -> dict[str, Any]:
        """Find the objects of images that have true masks, in the folder ``name``; returns their scores."""

        def work(folder: Path) -> dict[str, Any]:
            job = Detecting(detector / DETECTOR.file_name, DetectSettings(), device=self.runtime.device)
            pictures = inputs_from_records(dataset)
            predict_pictures(job, pictures, folder, workers=self.workers, on_error="stop", console=self.console)
            write_results(folder, (picture.name for picture in pictures), dataset)
            return evaluate_detections(folder / RESULTS, dataset).as_dict()

        depends = [content_digest(dataset), file_digest(detector / DETECTOR.file_name)]
        return self.steps.do(name, depends, work, lambda folder: (folder / RESULTS).is_file())


def has_truth(dataset: BoxDataset) -> bool:
    """Whether every image of a data set has a true mask, or no object."""
    return all(_has_mask(record) for record in dataset)


def _has_mask(record: ImageRecord) -> bool:
    known = record.semantic_path is not None or record.instance_path is not None or not len(record)
    return known or any(segmentation is not None for segmentation in record.segmentations)
