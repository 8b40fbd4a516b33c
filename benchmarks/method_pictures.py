"""Draws the pictures of docs/method.md: what each step makes of two of the photographs that come with bana.

``python benchmarks/method_pictures.py`` writes docs/pictures/*.jpg in some seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from bana import Labeler
from bana.data.class_names import matching_classes
from bana.data.colors import INK, PALETTE
from bana.data.encoding import jpeg
from bana.data.images import open_record_image
from bana.data.records import BoolArray, BoxDataset, ImageRecord
from bana.data.sample import sample_dataset
from bana.io.files import write_bytes
from bana.label.boxes import BoxedImage
from bana.label.unaries import background_unary, object_unary
from bana.label.upsampled import UpsampledFeatures
from bana.report.panels import Picture, boxes_panel, confidence_panel, masks_panel, unreliable_panel

PHOTOGRAPHS = ("000000000471", "000000008690")
"""The labeler knows all their classes."""

HEIGHT, GAP = 320, 8
"""Of every panel, and between two, in pixels."""

GRID = 4
"""N of Eq. 1 in training."""

PAPER = {"low_level": 0.0, "refinements": 0, "tightness": 0.0, "instance_aware": False, "refine": False}
"""Settings without what `bana label` does beyond the paper."""


@torch.inference_mode()
def panels_of(labeler: Labeler, dataset: BoxDataset, record: ImageRecord) -> dict[str, Picture]:
    """What every step makes of one photograph, by the functions that labeling itself consists of."""
    image = open_record_image(record)
    arguments = (image, record.boxes, record.class_ids)
    beyond = labeler.for_classes(dataset.classes)
    paper = beyond.with_settings(labeler.settings.with_options(**PAPER))
    boxed = BoxedImage(*arguments, record.crowd, None, len(dataset.classes))
    features = UpsampledFeatures(paper.features(image)[0], boxed.size)
    attention = features.cosine(features.mean(boxed.background_mask[None]))[0].relu()
    u0 = background_unary(attention, boxed.background_mask, paper.settings.attention_threshold)
    trained = matching_classes(dataset.classes, labeler.classes)
    present = sorted(set(record.class_ids.tolist()))
    activations = features.dot(labeler.model.class_weights[[trained[label - 1] for label in present]]).relu()
    pairs = zip(activations, present, strict=True)
    objects = [object_unary(activation, boxed.places_of(label), per_box=True) for activation, label in pairs]
    labels, better = paper(*arguments), beyond(*arguments)
    colors = dict(zip(present, PALETTE, strict=False))
    names = [dataset.classes[label - 1] for label in record.class_ids]
    return {
        "boxes": boxes_panel(image, record.boxes, names, [colors[label] for label in record.class_ids]),
        "queries": queries_panel(image, boxed.background_mask.numpy()),
        "attention": confidence_panel(torch.where(boxed.background_mask, 1.0, attention).numpy()),
        "u0": confidence_panel(u0.numpy()),
        "uc": confidence_panel(torch.stack(objects).amax(0).numpy()),
        "y_crf": masks_panel(image, labels.y_crf, colors),
        "y_ret": masks_panel(image, labels.y_ret, colors),
        "agreement": unreliable_panel(image, labels.y_crf > 0, ~labels.agreement),
        "confidence": confidence_panel(labels.confidence),
        "beyond": masks_panel(image, better.y_crf, colors, unreliable=~better.agreement),
    }


def queries_panel(image: Picture, background_mask: BoolArray) -> Picture:
    """The photograph (H, W, 3) with what is inside boxes dark, and the cells over which queries are averaged."""
    dark = np.where(background_mask[..., None], image, image // 6)
    picture = Image.fromarray(dark.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for part in range(1, GRID):
        across, down = picture.width * part // GRID, picture.height * part // GRID
        for ends in ((across, 0, across, picture.height), (0, down, picture.width, down)):
            draw.line(ends, fill=INK, width=5)
            draw.line(ends, fill=PALETTE[2], width=2)
    return np.asarray(picture)


def side_by_side(panels: list[Picture]) -> Image.Image:
    """Panels of one height on white."""
    scaled = [
        Image.fromarray(panel).resize((round(panel.shape[1] * HEIGHT / len(panel)), HEIGHT), Image.Resampling.LANCZOS)
        for panel in panels
    ]
    sheet = Image.new("RGB", (sum(each.width for each in scaled) + GAP * (len(scaled) - 1), HEIGHT), "white")
    left = 0
    for each in scaled:
        sheet.paste(each, (left, 0))
        left += each.width + GAP
    return sheet


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="folder")
    out = parser.parse_args().out
    labeler, dataset = Labeler.pretrained(), sample_dataset()
    records = {record.image_id: record for record in dataset}
    rows = [panels_of(labeler, dataset, records[name]) for name in PHOTOGRAPHS]
    out.mkdir(parents=True, exist_ok=True)
    for step in rows[0]:
        write_bytes(out / f"{step}.jpg", jpeg(side_by_side([row[step] for row in rows])))
        print(out / f"{step}.jpg")


if __name__ == "__main__":
    main()
