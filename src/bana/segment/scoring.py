"""Scoring a segmentation network on images with true masks, before and after the CRF."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bana.data.images import open_record_image
from bana.data.label_maps import LabelMap
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.truth import required_truth
from bana.engine.pool import each_in_order
from bana.engine.progress import StepProgress
from bana.evaluate.folder import LabelingEvaluation
from bana.evaluate.scores import LabelingScores
from bana.segment.model import SEGMENTER
from bana.segment.segmenter import PredictSettings, Segmenter

STEPS = ("plain", "crf")
"""The predictions that are scored: before and after the CRF."""


def score_segmenter(
    segmenter: Path,
    dataset: BoxDataset,
    *,
    settings: PredictSettings | None = None,
    device: str = "cpu",
    workers: int,
    console: Console,
) -> dict[str, LabelingScores]:
    """Scores of a network on images with true masks.

    Args:
        segmenter: A segmenter file or run folder.
        dataset: The images.
        settings: Of prediction; None: DeepLab's.
        device: Where the network runs.
        workers: DistContext.
        console: For progress.

    Returns:
        By the names of STEPS; ``crf`` is ``plain`` once more where the settings have no CRF.

    Raises:
        DataError: If classes differ, or an image or its mask is missing or damaged.
        CheckpointError: If the segmenter is missing or damaged.
    """
    job = _Job(SEGMENTER.path(segmenter), settings or PredictSettings(), device)
    here = job.prepare()
    dataset.require_classes(here.segmenter.class_table.names, segmenter, "score with data of these classes")
    table: ClassTable = dataset.class_table
    scored = {step: LabelingEvaluation(table, boundary=False) for step in STEPS}
    progress = StepProgress("scoring", len(dataset), console)
    records: Iterable[ImageRecord] = dataset
    try:
        for number, (record, result) in enumerate(each_in_order(job, records, workers, here)):
            truth = required_truth(record, table)
            for step, labels in zip(STEPS, result(), strict=True):
                scored[step].update(labels, truth)
            progress.update(number, 1, {})
    finally:
        progress.close()
    return {step: evaluation.scores() for step, evaluation in scored.items()}


@dataclass(frozen=True)
class _Prepared:
    segmenter: Segmenter

    def __call__(self, record: ImageRecord) -> tuple[LabelMap, LabelMap]:
        """Labels before and after the CRF."""
        prediction = self.segmenter(open_record_image(record))
        return prediction.plain.argmax(0).astype(prediction.labels.dtype), prediction.labels


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to prepare itself."""

    segmenter: Path
    settings: PredictSettings
    device: str

    def prepare(self) -> _Prepared:
        return _Prepared(Segmenter.load(self.segmenter, self.settings, threads=1, device=self.device))
