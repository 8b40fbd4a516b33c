"""How background attention A is distributed outside the boxes, on background inside them, and on objects.

    python benchmarks/attention.py DATA --split val --labeler RUN

True masks only count here; they are in no way used for labeling. "before" is the backbone's last map, which A would
see without training; "after" is the labeler's features. A is divided by its maximum over the image.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bana import Labeler, read_dataset
from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.records import boxes_to_mask
from bana.data.truth import semantic_truth
from bana.label.upsampled import UpsampledFeatures
from bana.nn.backbones import Backbone, create_backbone
from bana.nn.network import network_input

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0 + 1e-6)
REGIONS = ("outside boxes", "background in boxes", "objects")
STEP = 7
"""Every seventh pixel of the flattened image is counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--labeler", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100)
    arguments = parser.parse_args()
    labeler = Labeler.load(arguments.labeler)
    settings = LABELER.load_facts(arguments.labeler).settings
    untrained = create_backbone(settings.backbone, settings.backbone_weights).eval()
    dataset = read_dataset(arguments.data, arguments.split)
    counts = {stage: np.zeros((len(REGIONS), len(EDGES) - 1)) for stage in ("before", "after")}
    rank = {stage: [] for stage in counts}
    for record in dataset[: arguments.images]:
        truth = semantic_truth(record, dataset.class_table)
        inside = boxes_to_mask(record.boxes, record.height, record.width)
        if inside.all() or truth is None:
            continue
        known = truth != dataset.class_table.ignore_index
        regions = (~inside, inside & known & (truth == 0), inside & known & (truth > 0))
        for stage, attention in attentions(untrained, labeler, open_record_image(record), ~inside).items():
            for row, region in enumerate(regions):
                counts[stage][row] += np.histogram(attention[region][::STEP], EDGES)[0]
            rank[stage].append([attention[region][::STEP] for region in regions[1:]])
    for stage, each in counts.items():
        show(stage, each, separation(rank[stage]))


@torch.inference_mode()
def attentions(
    untrained: Backbone, labeler: Labeler, image: np.ndarray, background_mask: np.ndarray
) -> dict[str, np.ndarray]:
    """A over its maximum, before and after training."""
    pixels = network_input(image, labeler.settings.image_side, labeler.model.backbone.info.multiple)
    maps = {"before": untrained(pixels)[-1][0].relu(), "after": labeler.model(pixels)[0]}
    result = {}
    for stage, features in maps.items():
        upsampled = UpsampledFeatures(features, background_mask.shape)
        attention = upsampled.cosine(upsampled.mean(torch.from_numpy(background_mask)[None]))[0].relu().numpy()
        result[stage] = attention / max(float(attention.max()), 1e-12)
    return result


def separation(pairs: list[list[np.ndarray]]) -> float:
    """The chance that a background pixel in a box has a greater A than an object pixel (area under the ROC curve)."""
    background, objects = (np.concatenate(each) for each in zip(*pairs, strict=True))
    order = np.argsort(np.concatenate([objects, background]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    above = ranks[len(objects) :].sum() - len(background) * (len(background) + 1) / 2
    return above / (len(background) * len(objects))


def show(stage: str, counts: np.ndarray, area: float) -> None:
    table = Table(title=f"A {stage} training: share of pixels in %; separation {area:.3f}")
    table.add_column("A / max A")
    for low, high in pairwise(EDGES):
        table.add_column(f"{low:g} to {min(high, 1.0):g}", justify="right")
    for name, row in zip(REGIONS, counts, strict=True):
        table.add_row(name, *(f"{100 * share:.1f}" for share in row / row.sum()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
