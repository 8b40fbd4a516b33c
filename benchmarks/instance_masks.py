"""Mask AP of the masks of the sample photographs' boxes: cut out of class labels, and divided where boxes overlap.

    OMP_NUM_THREADS=1 python benchmarks/instance_masks.py --gap RUN

RUN is a run of ``bana classify --pooling gap``; without it that row is left out. Takes two minutes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bana.data.images import open_record_image
from bana.data.label_folder import LabeledBox
from bana.data.label_maps import LabelMap
from bana.data.masks import encode_mask
from bana.data.records import FloatArray, ImageRecord, paint_order
from bana.data.sample import sample_dataset
from bana.evaluate.folder import InstanceEvaluation
from bana.label.boxes import BoxedImage, Image, crowd_pixels
from bana.label.instances import cut_by_boxes, instance_masks
from bana.label.labeler import Labeler
from bana.label.methods.choose import MethodChoice
from bana.label.upsampled import UpsampledFeatures
from densecrf import DenseCRF

Labeling = tuple[str, LabelMap, FloatArray]
"""A row's name, the class of every pixel (H, W), and how sure that is (H, W)."""


def box_labels(boxed: BoxedImage) -> LabelMap:
    """The boxes themselves, smaller ones in front."""
    labels = np.zeros(boxed.size, np.uint8)
    for number in paint_order(boxed.boxes):
        if boxed.usable[number]:
            labels[boxed.places[number]] = boxed.class_ids[number]
    return labels


def labelings(
    name: str, labeler: Labeler, features: torch.Tensor, image: Image, boxed: BoxedImage
) -> Iterator[Labeling]:
    """What a labeler gives; the paper's recipe gives Y_ret too."""
    labels = labeler.from_features(features, image, boxed)
    yield name, labels.y_crf, labels.confidence
    if name == "bap":
        yield "ret", labels.y_ret, labels.confidence * labels.agreement


def scored(boxed: BoxedImage, parts: list[np.ndarray], sure: FloatArray) -> list[LabeledBox]:
    """Boxes with these masks, as evaluation takes them."""
    boxes = []
    for number, part in enumerate(parts):
        status = "rejected" if not boxed.usable[number] else "ok" if part.any() else "empty"
        mask = np.zeros(boxed.size, dtype=bool)
        mask[boxed.places[number]] = part
        confidence = float(sure[boxed.places[number]].mean()) if boxed.usable[number] else 0.0
        class_id = int(boxed.class_ids[number])
        boxes.append(LabeledBox(class_id, status, confidence, 0.0, None, encode_mask(mask)))
    return boxes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gap", type=Path, help="run of bana classify --pooling gap")
    gap = parser.parse_args().gap
    dataset = sample_dataset()
    choices = {name: MethodChoice(name, options={"refine": False}) for name in ("bap", "labeler")}
    if gap is not None:
        choices = {"gap": MethodChoice("gap", {"gap": gap}), **choices}
    labelers = {name: choice.open(dataset.classes, threads=1) for name, choice in choices.items()}
    crf = DenseCRF(threads=1)
    rows: defaultdict[str, list[InstanceEvaluation]] = defaultdict(
        lambda: [InstanceEvaluation(dataset.class_table) for _ in range(2)]
    )

    def score(record: ImageRecord) -> None:
        image = open_record_image(record)
        boxed = BoxedImage(
            image, record.boxes, record.class_ids, record.crowd, crowd_pixels(record), len(dataset.classes)
        )
        made: list[tuple[Labeling, UpsampledFeatures]] = []
        for name, labeler in labelers.items():
            assert isinstance(labeler, Labeler)
            features = labeler.features(image)
            upsampled = UpsampledFeatures(features[0], boxed.size)
            made += [(each, upsampled) for each in labelings(name, labeler, features, image, boxed)]
        made.append((("box", box_labels(boxed), np.ones(boxed.size, np.float32)), made[-1][1]))
        for (name, labels, sure), upsampled in made:
            cut, divided = cut_by_boxes(boxed, labels), instance_masks(boxed, labels, upsampled, image, crf)
            for evaluation, parts in zip(rows[name], (cut, divided), strict=True):
                evaluation.update(scored(boxed, parts, sure), record)

    with torch.inference_mode():
        for record in dataset:
            score(record)
    for name, evaluations in rows.items():
        for how, evaluation in zip(("cut", "divided"), evaluations, strict=True):
            found = evaluation.ap.scores()
            print(f"{name:8} {how:8} AP {found.ap:.1f}  AP50 {found.ap50:.1f}  AP75 {found.ap75:.1f}", flush=True)


if __name__ == "__main__":
    main()
