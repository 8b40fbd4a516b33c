"""How well a label folder knows which of its masks are good: rank correlation with the true IoU, and calibration.

    python benchmarks/expected_iou.py LABELS DATA --split val

For each object whose true mask is known: Spearman's correlation of its IoU with what the folder says of it, and, in
five bins of the expected IoU, the mean of both.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.table import Table

from bana import read_dataset
from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask, encode_mask
from bana.data.records import FloatArray
from bana.evaluate.true_masks import TrueMasks

BINS = 5
NAMES = ("expected_iou", "confidence", "agreement")


def spearman(first: FloatArray, second: FloatArray) -> float:
    """The correlation of ranks; equal values share their mean rank."""
    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def ranks(values: FloatArray) -> FloatArray:
    """The rank of each value, from 0 on."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def measured(labels: Path, data: Path, split: str | None) -> tuple[FloatArray, dict[str, FloatArray]]:
    """The true IoU of every object whose true mask is known, and what the folder says of it, by name."""
    dataset, folder = read_dataset(data, split), LabelFolder(labels)
    truth, ious, said = TrueMasks(dataset.class_table), [], []
    for record in dataset:
        true = truth.of(record)
        entries = json.loads((labels / "instances" / f"{record.image_id}.json").read_text())["instances"]
        for box, entry, known in zip(folder.boxes(record), entries, true.masks, strict=True):
            if not known.crowd:
                mask = decode_mask(box.mask, record.height, record.width)
                kept = mask if true.void is None else mask & ~true.void
                ious.append(float(coco_mask.iou([encode_mask(kept)], [known.mask], [0])[0][0]))
                said.append([np.nan if entry.get(name) is None else entry[name] for name in NAMES])
    return np.array(ious), dict(zip(NAMES, np.array(said, dtype=float).T, strict=True))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    arguments = parser.parse_args()
    ious, said = measured(arguments.labels, arguments.data, arguments.split)
    expected = said["expected_iou"]
    title = f"{len(ious)} objects, mean IoU {ious.mean():.3f}, mean expected IoU {expected.mean():.3f}"
    table = Table("of each mask", "Spearman", title=title)
    for name, values in said.items():
        if not np.isnan(values).any():
            table.add_row(name, f"{spearman(values, ious):.3f}")
    Console(width=100).print(table)
    if not np.isnan(expected).any():
        bins = Table("objects", "expected IoU", "true IoU")
        for part in np.array_split(np.argsort(expected), BINS):
            bins.add_row(str(len(part)), f"{expected[part].mean():.3f}", f"{ious[part].mean():.3f}")
        Console().print(bins)


if __name__ == "__main__":
    main()
