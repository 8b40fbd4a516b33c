"""A VOC data set of two tiny images and a folder of labels of it, small enough to score by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bana.data.label_maps import write_label_map
from bana.data.masks import encode_mask

WIDTH, HEIGHT = 8, 6
VOID = 255
CAT, DOG = 1, 2

ANNOTATION = """<annotation><filename>{name}.png</filename>
<size><width>8</width><height>6</height><depth>3</depth></size>
<object><name>{label}</name><difficult>0</difficult>
<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>
</annotation>
"""


def painted(*rectangles):
    """Labels (H, W): rectangles (value, rows, columns) on background."""
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for value, rows, columns in rectangles:
        labels[rows, columns] = value
    return labels


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def truth():
    """The true classes: 16 pixels of cat with a void column at its right in pets/one, 8 pixels of dog in two."""
    return {
        "pets/one": painted((VOID, slice(1, 5), 5), (CAT, slice(1, 5), slice(1, 5))),
        "two": painted((DOG, slice(2, 4), slice(2, 6))),
    }


@pytest.fixture
def written():
    """The labels of the label folder: y_crf misses a column of the cat, y_ret one of the dog."""
    y_crf = {
        "pets/one": painted((CAT, slice(1, 5), slice(1, 4))),
        "two": painted((DOG, slice(2, 4), slice(2, 6))),
    }
    y_ret = {
        "pets/one": painted((CAT, slice(1, 5), slice(1, 5))),
        "two": painted((DOG, slice(2, 4), slice(2, 5))),
    }
    agreed = {name: np.where(y_crf[name] == y_ret[name], y_crf[name], VOID).astype(np.uint8) for name in y_crf}
    return {"y_crf": y_crf, "y_ret": y_ret, "agreed": agreed}


@pytest.fixture
def voc_folder(tmp_path, truth):
    """The data set. The classes are cat, dog and bird; no image has a bird."""
    root = tmp_path / "voc"
    boxes = {"pets/one": ("cat", (2, 2, 6, 5)), "two": ("dog", (3, 3, 6, 4))}  # 1-based, inclusive
    write_text(root / "labels.txt", "cat\ndog\nbird\n")
    write_text(root / "ImageSets/Segmentation/val.txt", "pets/one\ntwo\n")
    for image_id, (label, box) in boxes.items():
        write_text(root / f"Annotations/{image_id}.xml", ANNOTATION.format(name=image_id, label=label, box=box))
        image = root / f"JPEGImages/{image_id}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(image)
        write_label_map(root / f"SegmentationClass/{image_id}.png", truth[image_id])
        number = np.where(truth[image_id] == VOID, VOID, truth[image_id] > 0).astype(np.uint8)
        write_label_map(root / f"SegmentationObject/{image_id}.png", number)
    return root


@pytest.fixture
def label_folder(tmp_path, written):
    """The labels, in the layout of ``bana label``."""
    root = tmp_path / "labels"
    write_text(root / "labels.json", json.dumps({"classes": ["cat", "dog", "bird"], "ignore_index": VOID}))
    for labeling, images in written.items():
        for image_id, labels in images.items():
            write_label_map(root / labeling / f"{image_id}.png", labels)
    cat = written["y_crf"]["pets/one"] == CAT
    cat[1, 1] = False  # 11 of the 16 true pixels
    dog = written["y_crf"]["two"] == DOG
    write_instance(root, "pets/one", CAT, [1, 1, 6, 5], cat, confidence=0.8)
    write_instance(root, "two", DOG, [2, 2, 6, 4], dog, confidence=0.6)
    return root


def write_instance(root, image_id, class_id, box, mask, confidence):
    """One object, which the classifier takes for a dog."""
    instance = {
        "class_id": class_id,
        "box": box,
        "status": "ok",
        "confidence": confidence,
        "agreement": 0.9,
        "filling_rate": 0.7,
        "predicted_class": DOG,
        "segmentation": encode_mask(mask),
    }
    content = {"image_id": image_id, "width": WIDTH, "height": HEIGHT, "instances": [instance]}
    write_text(root / f"instances/{image_id}.json", json.dumps(content))
