"""A large image labeled in tiles: memory, time, and whether there are seams.

    python benchmarks/large_images.py
    python benchmarks/large_images.py --data DATA --split train --format tif

The image is a mosaic of a data set's images (default: the photographs that come with bana), each mirrored anew when it
comes again, with their boxes. `bana label --tile auto` labels it in a process of its own, on one core. Printed are the
most memory that the process takes, the seconds, and

- how well its labels agree with those of the images labeled apart: mean IoU of the maps, and of the masks of boxes,
  also of boxes through which a border of a tile runs, and of all others; seams would make these two numbers differ;
- the scores of both by the true masks, where the data set has some;
- with --other-tile the same with labels in tiles of another size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from bana import evaluate, read_dataset
from bana.data.images import image_size, open_record_image
from bana.data.label_maps import read_label_map
from bana.data.masks import decode_part, encode_mask, encode_part
from bana.data.records import BoxDataset, ImageRecord, pixel_slices
from bana.data.sample import FOLDER
from bana.data.truth import object_masks
from bana.evaluate import ConfusionMatrix, mean_iou
from bana.io.strict_json import read_json_object
from bana.label.tiles import AUTO_SIDE, plan_tiles


@dataclass(frozen=True)
class Placed:
    """An image of the mosaic: its name among the images apart, and the rows and columns that it takes."""

    name: str
    place: tuple[slice, slice]


def write_mosaic(dataset: BoxDataset, side: int, gap: int, folder: Path, suffix: str) -> tuple[list[Placed], int]:
    """Write the mosaic and the images apart, each as a COCO data set; returns the images and the number of boxes."""
    pixels = np.full((side, side, 3), 128, dtype=np.uint8)
    whole: list[dict[str, Any]] = []
    apart: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    placed: list[Placed] = []
    (folder / "apart/images").mkdir(parents=True)
    (folder / "mosaic/images").mkdir(parents=True)
    top = left = bottom = number = 0
    while True:
        record = dataset[number % len(dataset)]
        if left + record.width > side:
            top, left = bottom + gap, 0
        if top + record.height > side:
            break
        place = slice(top, top + record.height), slice(left, left + record.width)
        mirrored = number // len(dataset) % 2 == 1
        image = open_record_image(record)
        pixels[place] = image[:, ::-1] if mirrored else image
        name = f"{number:05}"
        Image.fromarray(pixels[place]).save(folder / f"apart/images/{name}.png")
        annotations = list(annotations_of(record, mirrored))
        apart.append(({"file_name": f"images/{name}.png", "width": record.width, "height": record.height}, annotations))
        whole += [moved(each, place, side) for each in annotations]
        placed.append(Placed(name, place))
        left, bottom = left + record.width + gap, max(bottom, place[0].stop)
        number += 1
    Image.fromarray(pixels).save(folder / f"mosaic/images/mosaic.{suffix}")
    stated = {"file_name": f"images/mosaic.{suffix}", "width": side, "height": side}
    write_coco(folder / "mosaic/train.json", dataset.classes, [(stated, whole)])
    write_coco(folder / "apart/train.json", dataset.classes, apart)
    return placed, len(whole)


def annotations_of(record: ImageRecord, mirrored: bool):
    """The objects of an image as COCO has them, with their masks as arrays, if there are some."""
    for box, class_id, crowd, mask in zip(
        record.boxes, record.class_ids, record.crowd, object_masks(record), strict=True
    ):
        x0, y0, x1, y1 = map(float, box)
        if mirrored:
            x0, x1, mask = record.width - x1, record.width - x0, None if mask is None else mask[:, ::-1]
        entry = {"category_id": int(class_id), "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": int(crowd)}
        yield entry if mask is None else {**entry, "mask": mask}


def moved(annotation: dict[str, Any], place: tuple[slice, slice], side: int) -> dict[str, Any]:
    """An object of an image as one of the mosaic."""
    x, y, width, height = annotation["bbox"]
    found = {**annotation, "bbox": [x + place[1].start, y + place[0].start, width, height]}
    if "mask" in annotation:
        found["segmentation"] = encode_part(place, found.pop("mask"), (side, side))
    return found


def write_coco(path: Path, classes: Sequence[str], entries: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
    images, annotations = [], []
    for number, (image, objects) in enumerate(entries, start=1):
        images.append({"id": number, **image})
        for each in objects:
            entry = {"id": len(annotations) + 1, "image_id": number, **each}
            if "mask" in entry:
                entry["segmentation"] = encode_mask(entry.pop("mask"))
            annotations.append(entry)
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, start=1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def label(data: Path, out: Path, *more: str) -> dict[str, float]:
    """Label in a process of its own; returns its seconds of labeling, and the most memory that it took, in GiB."""
    command = [sys.executable, "-m", "bana", "label", str(data), "--out", str(out), "--workers", "1", *more]
    answer = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    run = json.loads(answer.stdout)
    return {"seconds": run["seconds"], "gibibytes": (run["peak_memory"] or 0) / 2**30}


def masks_in(folder: Path, name: str) -> list[dict[str, Any]]:
    return [each["segmentation"] for each in read_json_object(folder / f"instances/{name}.json")["instances"]]


def map_in(folder: Path, name: str):
    path = folder / f"y_crf/{name}.png"
    return read_label_map(path, *image_size(path))


def part_of(rle: dict[str, Any], box: np.ndarray) -> np.ndarray:
    """A mask at the pixels of its box."""
    place, part = decode_part(rle, *rle["size"])
    target = pixel_slices(box)
    found = np.zeros([axis.stop - axis.start for axis in target], dtype=bool)
    shared = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(place, target, strict=True)]
    if all(axis.start < axis.stop for axis in shared):
        inner, outer = (
            tuple(slice(axis.start - of.start, axis.stop - of.start) for axis, of in zip(shared, base, strict=True))
            for base in (target, place)
        )
        found[inner] = part[outer]
    return found


def iou(first: np.ndarray, second: np.ndarray) -> float:
    union = (first | second).sum()
    return float((first & second).sum() / union) if union else 1.0


def compare_apart(folder: Path, placed: list[Placed], classes: int, tile: int) -> dict[str, float]:
    """Agreement of the mosaic's labels with those of the images apart."""
    confusion, overlaps = ConfusionMatrix(classes + 1), []
    whole, masks = map_in(folder / "labels", "images/mosaic"), masks_in(folder / "labels", "images/mosaic")
    mosaic = read_dataset(folder / "mosaic/train.json")[0]
    apart = {record.image_id: record for record in read_dataset(folder / "apart/train.json")}
    first = 0
    for each in placed:
        name = f"images/{each.name}"
        confusion.update(whole[each.place], map_in(folder / "labels-apart", name))
        record = apart[name]
        for number, (box, rle) in enumerate(zip(record.boxes, masks_in(folder / "labels-apart", name), strict=True)):
            mine = part_of(masks[first + number], mosaic.boxes[first + number])
            overlaps.append(iou(mine, part_of(rle, box)))
        first += len(record)
    agreement = {"map": mean_iou(confusion), "masks": 100 * float(np.mean(overlaps))}
    return agreement | at_borders(mosaic, overlaps, tile)


def compare_tiles(folder: Path, tile: int, other: Path) -> dict[str, float]:
    """Agreement of masks in tiles of two sizes: of boxes that a border of the first tiles cuts, and of the others."""
    (record,) = read_dataset(folder / "mosaic/train.json")
    pairs = zip(masks_in(folder / "labels", "images/mosaic"), masks_in(other, "images/mosaic"), strict=True)
    overlaps = [
        iou(part_of(first, box), part_of(second, box)) for box, (first, second) in zip(record.boxes, pairs, strict=True)
    ]
    same = float((map_in(folder / "labels", "images/mosaic") == map_in(other, "images/mosaic")).mean())
    return {**at_borders(record, overlaps, tile), "pixels": 100 * same}


def at_borders(record: ImageRecord, overlaps: Sequence[float], tile: int) -> dict[str, float]:
    """The mean of the IoUs of boxes that a border of a tile cuts, and of the others."""
    tiles = plan_tiles((record.height, record.width), record.boxes, ~record.crowd, tile)
    borders = [np.unique([(t.place[axis].start, t.place[axis].stop) for t in tiles]) for axis in (1, 0)]
    cut = np.array(
        [
            any(((box[axis] < borders[axis]) & (borders[axis] < box[axis + 2])).any() for axis in (0, 1))
            for box in record.boxes
        ]
    )
    ious = 100 * np.array(overlaps)
    return {"on a border": int(cut.sum()), "cut": float(ious[cut].mean()), "rest": float(ious[~cut].mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--split")
    parser.add_argument("--side", type=int, default=10_000, help="of the mosaic, in pixels")
    parser.add_argument("--gap", type=int, default=8, help="gray pixels between the images of the mosaic")
    parser.add_argument("--format", choices=("png", "tif"), default="png")
    parser.add_argument("--tile", default="auto", help="side of the tiles")
    parser.add_argument("--other-tile", type=int, help="label once more, in tiles of this side")
    parser.add_argument("--memory", action="store_true", help="memory and seconds alone")
    parser.add_argument("--keep", type=Path, help="folder to work in, which stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        dataset = read_dataset(options.data, options.split)
        placed, boxes = write_mosaic(dataset, options.side, options.gap, folder, options.format)
        tile = int(options.tile) if options.tile.isdecimal() else AUTO_SIDE
        table = Table("what", "")
        table.add_row("image, pixels", f"{options.side} x {options.side}")
        table.add_row("images, boxes", f"{len(placed)}, {boxes}")
        cost = label(folder / "mosaic/train.json", folder / "labels", "--tile", options.tile)
        table.add_row("most memory, GiB", f"{cost['gibibytes']:.2f}")
        table.add_row("seconds", f"{cost['seconds']:.0f}")
        if not options.memory:
            table.add_row(
                "seconds, images apart", f"{label(folder / 'apart/train.json', folder / 'labels-apart')['seconds']:.0f}"
            )
            agreement = compare_apart(folder, placed, len(dataset.classes), tile)
            table.add_row("mIoU with labels of the images apart", f"{agreement['map']:.1f}")
            table.add_row("mean IoU of a box's masks", f"{agreement['masks']:.1f}")
            borders = f"{agreement['cut']:.1f}, {agreement['rest']:.1f}"
            table.add_row(f"{agreement['on a border']:.0f} boxes on a border, others", borders)
            for words, data, labels in (("mosaic", "mosaic", "labels"), ("apart", "apart", "labels-apart")):
                scores = evaluate(folder / labels, folder / f"{data}/train.json", boundary=False, quiet=True).as_dict()
                table.add_row(
                    f"mIoU, AP of the {words}", f"{scores['y_crf']['miou']:.1f}, {scores['instances']['ap']:.1f}"
                )
        if options.other_tile:
            other = folder / f"labels-{options.other_tile}"
            label(folder / "mosaic/train.json", other, "--tile", str(options.other_tile))
            seams = compare_tiles(folder, tile, other)
            table.add_row("equal pixels, tiles of another size", f"{seams['pixels']:.2f} %")
            table.add_row("mean IoU: boxes on a border, others", f"{seams['cut']:.1f}, {seams['rest']:.1f}")
        Console().print(table)


if __name__ == "__main__":
    main()
