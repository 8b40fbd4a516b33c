"""A synthetic COCO file with true masks and results of it, random and the same at each call."""

import json
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as rle_codec

CATEGORIES = {3: "cat", 90: "dog", 18: "bird", 7: "yak"}
"""Sparse and in no order. No object is a yak."""

IMAGES = 40
CROWDED = 12
"""The place in the list of the image that has more than 100 detections of a class."""

EMPTY = {4, 5, 20}
"""Places of images without any true object."""

SIDES = {"small": (6, 30), "medium": (36, 90), "large": (100, 150)}


def rle_of(mask):
    encoded = rle_codec.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(map(int, encoded["size"])), "counts": encoded["counts"].decode()}


def run_lengths(mask):
    """The same mask as uncompressed RLE."""
    pixels = np.concatenate([[0], mask.ravel(order="F").astype(np.int8)])
    changes = np.flatnonzero(np.diff(pixels))
    return {"size": list(mask.shape), "counts": np.diff([0, *changes, mask.size]).tolist()}


def ellipse(rng, size, sides):
    """A mask (H, W), cut at the image's edge."""
    height, width = size
    (ry, rx), (cy, cx) = rng.integers(*sides, 2) / 2, (rng.integers(10, height - 10), rng.integers(10, width - 10))
    y, x = np.ogrid[:height, :width]
    return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1


def box_of(mask):
    return [float(value) for value in rle_codec.toBbox(rle_of(mask))]


def polygon_of(rng, size):
    """A triangle that lies in the image."""
    height, width = size
    return np.round(rng.random((3, 2)) * [width, height], 2).ravel().tolist()


def truth_content(rng):
    """The COCO file: numbers of images and categories are sparse and in no order, areas are not those of masks."""
    numbers = rng.permutation(np.arange(10, 10 + 7 * IMAGES, 7)).tolist()
    images, annotations = [], []
    for place, number in enumerate(numbers):
        height, width = rng.integers(150, 190, 2).tolist()
        images.append({"id": number, "file_name": f"{place:02}.png", "height": height, "width": width})
        for kind in [] if place in EMPTY else rng.choice([*SIDES, "crowd", "polygon"], rng.integers(1, 6)):
            mask = ellipse(rng, (height, width), SIDES.get(kind, SIDES["large"]))
            polygons = [polygon_of(rng, (height, width)) for _ in range(2)] if kind == "polygon" else None
            if polygons:
                mask = decoded(polygons, (height, width))
            annotations.append(
                {
                    "id": 1000 - len(annotations),
                    "image_id": number,
                    "category_id": int(rng.choice([3, 90, 18])),
                    "segmentation": polygons or (run_lengths(mask) if kind == "crowd" else rle_of(mask)),
                    "bbox": box_of(mask),
                    "area": round(float(mask.sum() * rng.uniform(0.7, 1.4)), 3),
                    "iscrowd": int(kind == "crowd"),
                }
            )
    categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def results_of(rng, content, count):
    """Results: true masks that are moved, some of another class, and masks at random; scores have ties."""
    images = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    crowded = content["images"][CROWDED]["id"]
    results = []
    for position in range(count):
        if position < 130:  # one class of one image, beyond the limit of 100
            number, category, mask = crowded, 3, ellipse(rng, images[crowded], SIDES["small"])
        else:
            true = content["annotations"][int(rng.integers(len(content["annotations"])))]
            number, category = true["image_id"], true["category_id"]
            mask = decoded(true["segmentation"], images[number])
            mask = np.roll(mask, rng.integers(-4, 5, 2), axis=(0, 1))
            if rng.random() < 0.3:
                number, category = int(rng.choice(list(images))), int(rng.choice(list(CATEGORIES)))
                mask = ellipse(rng, images[number], SIDES[rng.choice(list(SIDES))])
        segmentation = run_lengths(mask) if rng.random() < 0.3 else rle_of(mask)
        score = round(float(rng.random()), 2)
        results.append({"image_id": number, "category_id": category, "score": score, "segmentation": segmentation})
    results += [{**each, "score": 0.4} for each in exact(content) if rng.random() < 0.3]
    return [results[place] for place in rng.permutation(len(results))]


def exact(content):
    """The true masks as results."""
    images = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for each in content["annotations"]:
        mask = decoded(each["segmentation"], images[each["image_id"]])
        named = {key: each[key] for key in ("image_id", "category_id")}
        yield {**named, "score": 1.0, "segmentation": rle_of(mask)}


def decoded(segmentation, size):
    """The mask (H, W) of polygons or RLE of either kind."""
    if isinstance(segmentation, list):
        segmentation = rle_codec.merge(rle_codec.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        segmentation = rle_codec.frPyObjects(segmentation, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' arrays are older than numpy 2
        return rle_codec.decode(segmentation).astype(bool)


def write_truth(root: Path, content) -> Path:
    """The COCO file of split val, and images that nobody opens."""
    for image in content["images"]:
        path = root / "val" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("1", (image["width"], image["height"])).save(path)
    file = root / "annotations" / "instances_val.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file
