"""New labels of the training images from what a network predicts on them, between two rounds of training."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.records import BoolArray, BoxDataset, ImageRecord
from bana.engine.pool import Worker, map_in_order
from bana.engine.progress import StepProgress
from bana.engine.seeds import seed_of
from bana.io.files import file_digest
from bana.label.boxes import BoxedImage, Image
from bana.label.instances import assemble
from bana.label.methods.masks import MaskMethod
from bana.label.methods.mcg import BestSegment
from bana.label.output import input_digest, is_done, manifest_of, write_labels, write_manifest
from bana.label.pseudo_labels import PseudoLabels
from bana.nn.crf_settings import crf_errors
from bana.pipeline.rows import Update
from bana.segment.proposals import drawn_proposal, proposal_costs
from bana.segment.recursive import allowed_classes, front_boxes, reset_small, too_small, within_boxes
from bana.segment.segmenter import PredictSettings, Segmenter


@dataclass(frozen=True)
class LabelUpdate(Worker[ImageRecord, None]):
    """Labels a record by a network's prediction and its boxes, and writes its files as ``bana label`` does.

    Attributes:
        update: The rules.
        segmenter: A segmenter file.
        first: The folder of the first round's labels.
        out: The folder of the new ones.
        predict: How the network predicts; SDI's CRF is its ``crf``, or the default one where that is None.
        seed: Random seed of the draws.
        device: Where the network computes.
    """

    update: Update
    segmenter: Path
    first: Path
    out: Path
    predict: PredictSettings
    seed: int
    device: str = "cpu"

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Everything that the labels depend on except the images, as plain values."""
        return {
            "name": f"update:{self.update}",
            "network": file_digest(self.segmenter),
            "first": LabelFolder(self.first).labeling,
            "predict": self.predict.model_dump(mode="json"),
            "seed": self.seed,
        }

    @cached_property
    def network(self) -> Segmenter:
        """The loaded network, which predicts without a CRF."""
        return Segmenter.load(self.segmenter, self.predict.model_copy(update={"crf": None}), 1, self.device)

    @cached_property
    def crf(self) -> Any:
        """The fully connected CRF."""
        crf = self.predict.crf or PredictSettings().crf
        assert crf is not None
        return crf.build(1)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The content of ``labels.json``."""
        return manifest_of(self.facts, self.network.class_table)

    def __call__(self, record: ImageRecord) -> None:
        """Write the labels of a record, unless they are there."""
        digest = input_digest(record, self.manifest["labeling"])
        if is_done(self.out, record.image_id, digest):
            return
        image, table = open_record_image(record), self.network.class_table
        boxed = BoxedImage.of_record(image, record, len(table))
        if self.update == "sdi":
            labels = self._denoised(image, boxed, record)
        else:
            labels = MaskMethod(table.names, partial(self._drawn, record.image_id)).label_boxed(image, boxed)
        write_labels(self.out, record.image_id, labels, digest, record.track_ids)

    @crf_errors()
    def _denoised(self, image: Image, boxed: BoxedImage, record: ImageRecord) -> PseudoLabels:
        """The prediction by the three rules of Simple Does It; the confidence is the CRF's marginal."""
        table, numbers = self.network.class_table, np.flatnonzero(boxed.usable)
        regions, class_ids = _regions(boxed), boxed.class_ids[numbers]
        present, allowed = allowed_classes(regions, class_ids)
        start = within_boxes(self.network.probabilities(image), present, allowed)
        marginals = np.asarray(self.crf(image, probabilities=start, fixed=~regions.any(0))) * allowed
        labels = present.astype(table.label_dtype)[marginals.argmax(0)]
        rows = {int(number): row for row, number in enumerate(numbers)}
        front = front_boxes(regions, [rows[number] for number in boxed.paint_order()])
        small, folder = too_small(labels, regions, class_ids), LabelFolder(self.first)
        y_crf, y_ret = (
            reset_small(labels, folder.label_map(name, record), small, front) for name in ("y_crf", "y_ret")
        )
        return assemble(boxed, table, y_crf, y_ret, marginals.max(0).astype(np.float32))

    def _drawn(self, image_id: str, image: Image, boxed: BoxedImage) -> tuple[list[BoolArray], None]:
        """One of the proposals that cost least, drawn at random, for every box: K masks, with full confidence."""
        parts, probabilities = boxed.empty_parts(), self.network.probabilities(image)
        generator = np.random.default_rng(seed_of(self.seed, "proposals", image_id))
        for number, masks, overlaps in BestSegment().proposals(image, boxed):
            of_class, of_background = (
                probabilities[(class_id, *boxed.places[number])] for class_id in (boxed.class_ids[number], 0)
            )
            costs = proposal_costs(masks, overlaps, of_class, of_background)
            parts[number] = masks[drawn_proposal(costs, generator)]
        return parts, None


def update_labels(worker: LabelUpdate, dataset: BoxDataset, workers: int, console: Console) -> None:
    """Label all images of a data set anew; what is there is kept.

    Raises:
        DataError: If an image or its first labels cannot be used.
        CheckpointError: If the network is missing or damaged.
        OutputError: If the folder holds other labels, or cannot be written.
        SettingsError: If a package is missing, or the device cannot be had.
    """
    write_manifest(worker.out, worker.manifest)
    results = map_in_order(worker, list(dataset), workers)
    with closing(StepProgress("labeling", len(dataset), console)) as progress, closing(results):
        for number, (_, result) in enumerate(results):
            result()
            progress.update(number, 1, {})


def _regions(boxed: BoxedImage) -> BoolArray:
    """The pixels of every usable box: bool (K, H, W)."""
    regions = [boxed.region(int(number)) for number in np.flatnonzero(boxed.usable)]
    return np.stack(regions) if regions else np.zeros((0, *boxed.size), dtype=bool)
