"""Score a segmentation network on images with true masks, before and after the CRF."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rich.console import Console

from bana.data.images import open_record_image
from bana.data.label_maps import LabelMap
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.engine.pool import Worker, map_in_order
from bana.engine.progress import SILENT, StepProgress
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
    console: Console = SILENT,
) -> dict[str, LabelingScores]:
    """Score a network on images with true masks.

    Args:
        segmenter: A segmenter file or run folder.
        dataset: The images.
        settings: How images are segmented (default: as DeepLab does).
        device: Where the network runs.
        workers: Number of processes.
        console: Where progress is shown.

    Returns:
        Scores by the names in STEPS. ``crf`` equals ``plain`` where the settings have no CRF.

    Raises:
        DataError: If classes differ, or an image or its mask is missing or damaged.
        CheckpointError: If the segmenter is missing or damaged.
    """
    scorer = _Scorer(SEGMENTER.path(segmenter), settings or PredictSettings(), device)
    table = dataset.class_table
    dataset.require_classes(scorer.segmenter.class_table.names, segmenter, "score with data of these classes")
    scored = {step: LabelingEvaluation(table, boundary=False) for step in STEPS}
    with closing(StepProgress("scoring", len(dataset), console)) as progress:
        for number, (record, result) in enumerate(map_in_order(scorer, dataset, workers)):
            truth = required_truth(record, table)
            for step, labels in zip(STEPS, result(), strict=True):
                scored[step].update(labels, truth)
            progress.update(number, 1, {})
    return {step: evaluation.scores() for step, evaluation in scored.items()}


@dataclass(frozen=True)
class _Scorer(Worker[ImageRecord, tuple[LabelMap, LabelMap]]):
    """Segments a record's photograph: labels before and after the CRF."""

    network: Path
    settings: PredictSettings
    device: str

    @cached_property
    def segmenter(self) -> Segmenter:
        return Segmenter.load(self.network, self.settings, threads=1, device=self.device)

    def __call__(self, record: ImageRecord) -> tuple[LabelMap, LabelMap]:
        prediction = self.segmenter(open_record_image(record))
        return prediction.plain.argmax(0).astype(prediction.labels.dtype), prediction.labels
