"""Losses on labels of more and less noise: one small head on frozen features, for each loss and each kind of label.

    python benchmarks/noisy_labels.py DATA --split train_aug --held val --labels box=labels-box wssl=labels-wssl

Every head sees the same features, so that only labels and loss differ: the maps of EfficientNet-Lite0 of strides 8, 16
and 32, computed once for each image and its mirror image. ``DATA`` has true masks for the images of ``--held``, which
score, and for those of ``--split``, which tell how much of each kind of label is wrong. A folder of labels gives Y_crf.
Y_ret is retrieved from the frozen features for all of them (Eq. 8 and 9), so that S and ~S mean the same everywhere. A
row is a loss; a cell is the mean mIoU over the seeds, and how far it is from that of ``agreed`` (S alone) with the same
seed: mean and standard deviation.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import bana
from bana.data.images import open_image
from bana.data.label_folder import LabelFolder
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.evaluate.boxes import box_labels
from bana.evaluate.confusion import ConfusionMatrix, mean_iou
from bana.nn.backbones import create_backbone
from bana.nn.heads import FusingHead
from bana.segment import losses
from bana.segment.em_fixed import em_fixed_loss
from bana.segment.filling_rate import filling_rate_loss

SIDE = 257
"""Images are stretched to squares of so many pixels."""

CELLS = 33
"""Labels are learned and scored on so many cells a side."""

IGNORE = 255

_WIDTH = 192
_BATCH = 16
_STEP = 1e-3


@dataclass
class Images:
    """Frozen features and what is known of each image.

    Attributes:
        maps: Of each level float16 (N, 2, C, h, w), the second of each pair of the mirror image.
        boxes: int64 (N, CELLS, CELLS), the class of the front box.
        truth: int64 (N, CELLS, CELLS).
    """

    maps: list[Tensor]
    boxes: Tensor
    truth: Tensor

    def features(self, indices: Tensor, flipped: Tensor) -> list[Tensor]:
        """Maps of some images, some of them mirrored."""
        return [level[indices, flipped.long()].float() for level in self.maps]


def on_cells(labels: np.ndarray[Any, Any]) -> Tensor:
    """A label map (H, W) at the centers of the cells."""
    rows, columns = (((np.arange(CELLS) + 0.5) / CELLS * side).astype(int) for side in labels.shape)
    return torch.from_numpy(labels[np.ix_(rows, columns)].astype(np.int64))


@torch.inference_mode()
def read(data: BoxDataset) -> Images:
    """Features, boxes and true masks of all images."""
    backbone = create_backbone("lite0").eval().to(memory_format=torch.channels_last)
    levels: list[list[Tensor]] = [[] for _ in backbone.info.channels]
    for record in data:
        pixels = torch.from_numpy(open_image(record.path)).permute(2, 0, 1)[None].float()
        image = F.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
        for level, maps in zip(levels, backbone(torch.cat([image, image.flip(3)])), strict=True):
            level.append(maps.half())
    table = data.class_table
    return Images(
        [torch.stack(level) for level in levels],
        torch.stack([on_cells(box_labels(record, table)) for record in data]),
        torch.stack([on_cells(required_truth(record, table)) for record in data]),
    )


@torch.inference_mode()
def retrieved(images: Images, y_crf: Tensor) -> Tensor:
    """Y_ret of all images (Eq. 8 and 9): the class with the nearest prototype, of those whose boxes hold a cell."""
    found = []
    for index, labels in enumerate(y_crf):
        levels = [level[index, 0][None].float() for level in images.maps]
        features = torch.cat(
            [
                F.interpolate(F.normalize(maps - maps.mean((2, 3), keepdim=True)), (CELLS, CELLS), mode="bilinear")
                for maps in levels
            ],
            1,
        )[0].flatten(1)
        flat, box = labels.flatten(), images.boxes[index].flatten()
        best, score = torch.zeros_like(flat), torch.full(flat.shape, -torch.inf)
        for each in flat.unique().tolist():
            if each == IGNORE:
                continue
            prototype = features[:, flat == each].mean(1)
            cosine = F.cosine_similarity(features, prototype[:, None], 0)
            cosine[(box != each) if each else torch.zeros_like(box, dtype=torch.bool)] = -torch.inf
            better = cosine > score
            best[better], score[better] = each, cosine[better]
        best[(box == 0) | (flat == IGNORE)] = flat[(box == 0) | (flat == IGNORE)]
        found.append(best.view(CELLS, CELLS))
    return torch.stack(found)


class Head(nn.Module):
    """A fusing head and a classifier by cosines."""

    def __init__(self, channels: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.head = FusingHead(channels, _WIDTH)
        self.weights = nn.Parameter(torch.randn(classes, _WIDTH) * 0.01)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Cosines (N, classes, CELLS, CELLS)."""
        cosine = F.conv2d(F.normalize(self.head(maps)), F.normalize(self.weights)[:, :, None, None])
        return F.interpolate(cosine, (CELLS, CELLS), mode="bilinear", align_corners=True)


@dataclass
class Batch:
    """What a loss may look at; ``teacher`` are the cosines of the mean of all weights so far."""

    cosine: Tensor
    teacher: Callable[[], Tensor]
    y_crf: Tensor
    y_ret: Tensor
    boxes: Tensor
    progress: float


def regions_of(batch: Batch) -> Tensor:
    """Where each class may be: the background anywhere, an object in the front box of its class or under its label."""
    regions = torch.zeros(batch.cosine.shape, dtype=torch.bool)
    regions.scatter_(1, batch.boxes[:, None], True)
    regions[:, 0] = True
    return regions


def one_sided(batch: Batch, cosine: Tensor, sure: float = 0.8) -> Tensor:
    """Labels Y_crf in which a sure object overrides the background inside its box, never the reverse."""
    probability = (20 * cosine.detach()).softmax(1)
    of_box = probability.gather(1, batch.boxes[:, None])[:, 0]
    overridden = (batch.y_crf == 0) & (batch.boxes > 0) & (of_box > sure) & (batch.progress > 0.25)
    return batch.boxes.where(overridden, batch.y_crf)


def taught(batch: Batch) -> Tensor:
    """Labels of S, and on ~S the teacher's choice among the classes whose boxes hold a cell."""
    allowed = batch.teacher().where(regions_of(batch), -torch.inf)
    differ = losses.differing(batch.y_crf, batch.y_ret)
    return allowed.argmax(1).where(differ & (batch.progress > 0.25), losses.agreed_labels(batch.y_crf, batch.y_ret))


def sigma_everywhere(batch: Batch) -> Tensor:
    """Cross-entropy on all of Y_crf, each cell weighed by its confidence (Eq. 12), without a gradient of its own."""
    weight = losses.confidence_map(batch.cosine.detach(), batch.y_crf)
    surprise = F.cross_entropy(20 * batch.cosine, batch.y_crf, reduction="none", ignore_index=IGNORE)
    return (weight * surprise).sum() / weight.sum().clamp(min=1e-6)


def calibrated(batch: Batch) -> Tensor:
    """Cross-entropy on Y_crf: S counts fully, ~S by sigma times the share of ~S that this kind of label has right."""
    differ = losses.differing(batch.y_crf, batch.y_ret)
    weight = losses.confidence_map(batch.cosine.detach(), batch.y_crf) * torch.where(differ, 0.5, 1.0)
    surprise = F.cross_entropy(20 * batch.cosine, batch.y_crf, reduction="none", ignore_index=IGNORE)
    return (weight * surprise).sum() / weight.sum().clamp(min=1e-6)


LOSSES: dict[str, Callable[[Batch, Tensor], Tensor]] = {
    "agreed": lambda b, _: losses.partial_cross_entropy(b.cosine, losses.agreed_labels(b.y_crf, b.y_ret)),
    "y_crf": lambda b, _: losses.partial_cross_entropy(b.cosine, b.y_crf),
    "nal": lambda b, _: losses.noise_aware_loss(b.cosine, b.y_crf, b.y_ret),
    "nal, per pixel": lambda b, _: losses.noise_aware_loss(b.cosine, b.y_crf, b.y_ret, mean_over="pixel", lam=1.0),
    "entropy": lambda b, _: losses.entropy_regularized_loss(b.cosine, b.y_crf, b.y_ret),
    "bootstrap_hard": lambda b, _: losses.bootstrapping_loss(b.cosine, b.y_crf, b.y_ret, hard=True),
    "filling_rate": lambda b, rates: filling_rate_loss(b.cosine, b.y_crf, b.boxes, rates),
    "em_fixed": lambda b, _: em_fixed_loss(b.cosine, b.y_crf, regions_of(b)),
    "one-sided, y_crf": lambda b, _: losses.partial_cross_entropy(b.cosine, one_sided(b, b.cosine)),
    "one-sided, S": lambda b, _: losses.partial_cross_entropy(
        b.cosine, (lambda new: new.where((new != b.y_crf) | (b.y_crf == b.y_ret), IGNORE))(one_sided(b, b.cosine))
    ),
    "one-sided, teacher": lambda b, _: losses.partial_cross_entropy(b.cosine, one_sided(b, b.teacher())),
    "teacher": lambda b, _: losses.partial_cross_entropy(b.cosine, taught(b)),
    "sigma everywhere": lambda b, _: sigma_everywhere(b),
    "sigma times half on ~S": lambda b, _: calibrated(b),
}


def trained(images: Images, y_crf: Tensor, y_ret: Tensor, loss: str, seed: int, epochs: int, classes: int) -> Head:
    """A head trained with a loss."""
    torch.manual_seed(seed)
    head = Head(tuple(level.shape[2] for level in images.maps), classes)
    for level, norm in zip(images.maps, head.head.normalise, strict=True):
        sample = level[:64, 0].float()
        norm.get_buffer("running_mean").copy_(sample.mean((0, 2, 3)))
        norm.get_buffer("running_var").copy_(sample.var((0, 2, 3)))
    head.head.normalise.eval()
    teacher = Head(tuple(level.shape[2] for level in images.maps), classes).eval()
    teacher.load_state_dict(head.state_dict())
    optimizer = torch.optim.AdamW(head.parameters(), lr=_STEP, weight_decay=1e-2)
    inside = F.one_hot(images.boxes, classes).sum((0, 1, 2)).clamp(min=1)
    held = F.one_hot(y_crf.where(y_crf != IGNORE, 0), classes).sum((0, 1, 2))
    rates = (held / inside).clamp(max=1).float()
    rates[0] = 1
    uses_teacher, total, step = "teacher" in loss, epochs * -(-len(y_crf) // _BATCH), 0
    for _ in range(epochs):
        for chosen in torch.randperm(len(y_crf)).split(_BATCH):
            flipped = torch.rand(len(chosen)) < 0.5
            maps = images.features(chosen, flipped)
            turned = [
                torch.where(flipped[:, None, None], each[chosen].flip(2), each[chosen])
                for each in (y_crf, y_ret, images.boxes)
            ]

            def by_teacher(maps: list[Tensor] = maps) -> Tensor:
                with torch.no_grad():
                    found: Tensor = teacher(maps)
                    return found

            batch = Batch(head(maps), by_teacher, *turned, progress=step / total)
            optimizer.param_groups[0]["lr"] = _STEP * (1 - step / total) ** 0.9
            optimizer.zero_grad()
            LOSSES[loss](batch, rates).backward()
            optimizer.step()
            if uses_teacher:
                with torch.no_grad():
                    for mine, theirs in zip(teacher.parameters(), head.parameters(), strict=True):
                        mine.lerp_(theirs, 0.01 if step > 100 else 0.1)
            step += 1
    return head


@torch.inference_mode()
def miou(head: Head, images: Images, classes: int) -> float:
    """MIoU of a head on images with true masks, 0..100."""
    confusion = ConfusionMatrix(classes, IGNORE)
    for chosen in torch.arange(len(images.truth)).split(32):
        found = head(images.features(chosen, torch.zeros(len(chosen), dtype=torch.bool))).argmax(1)
        confusion.update(found.numpy(), images.truth[chosen].numpy())
    return mean_iou(confusion.counts)


def noise(y_crf: Tensor, y_ret: Tensor, truth: Tensor, classes: int) -> str:
    """How good labels are: mIoU of Y_crf, the share of ~S, and how much of S and ~S is right."""
    confusion = ConfusionMatrix(classes, IGNORE)
    confusion.update(y_crf.numpy(), truth.numpy())
    known, differ = (truth != IGNORE) & (y_crf != IGNORE), losses.differing(y_crf, y_ret)
    right = y_crf == truth
    on = [100 * right[known & where].float().mean().item() for where in (~differ, differ)]
    share = 100 * (differ & known).sum() / known.sum()
    return f"{mean_iou(confusion.counts):.1f}; ~S {share:.1f} %; right {on[0]:.1f} % on S, {on[1]:.1f} % on ~S"


def labels_of(folder: str, records: list[ImageRecord]) -> Tensor:
    """Y_crf of a folder of labels, or the true masks for ``truth``."""
    return torch.stack([on_cells(LabelFolder(Path(folder)).label_map("y_crf", record)) for record in records])


def main() -> None:
    """Train all heads and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", required=True)
    parser.add_argument("--held", required=True, help="split that scores")
    parser.add_argument("--labels", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=list(LOSSES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--every", type=int, default=1, help="take every N-th image of the split")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data, held = (bana.read_dataset(arguments.data, split) for split in (arguments.split, arguments.held))
    records = list(data)[:: arguments.every]
    data = type(data)(**{**vars(data), "records": tuple(records)})
    images, scoring, classes = read(data), read(held), len(data.classes) + 1
    found: dict[str, dict[str, list[float]]] = {}
    for name, _, folder in (each.partition("=") for each in arguments.labels):
        y_crf = images.truth if folder == "truth" else labels_of(folder, records)
        y_ret = retrieved(images, y_crf)
        print(f"{name}: {noise(y_crf, y_ret, images.truth, classes)}", flush=True)
        for loss in arguments.losses:
            scores = [
                miou(trained(images, y_crf, y_ret, loss, seed, arguments.epochs, classes), scoring, classes)
                for seed in range(arguments.seeds)
            ]
            found.setdefault(loss, {})[name] = scores
            print(f"  {loss}: {' '.join(f'{each:.2f}' for each in scores)}", file=sys.stderr, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(found, indent=1))
    table = Table("loss", *next(iter(found.values())))
    for loss, row in found.items():
        cells = []
        for name, scores in row.items():
            gain = np.subtract(scores, found["agreed"][name]) if "agreed" in found else np.zeros(1)
            cells.append(f"{np.mean(scores):.1f} ({gain.mean():+.1f} ± {gain.std(ddof=min(1, len(gain) - 1)):.1f})")
        table.add_row(loss, *cells)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
