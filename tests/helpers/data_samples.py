"""Small data sets that the tests of this folder write to disk."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (60, 40)
"""Width and height of every sample image."""


def write_photo(path: Path, size: tuple[int, int] = SIZE, exif_orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    if exif_orientation is not None:
        exif[0x0112] = exif_orientation
    image.save(path, exif=exif)
    return path


def voc_object(name: str = "cat", box: tuple = (11, 6, 30, 25), extra: str = "") -> str:
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{extra}<bndbox>{corners}</bndbox></object>"


def voc_xml(*objects: str, filename: str = "a.jpg", size: tuple[int, int] = SIZE) -> str:
    return (
        f"<annotation><filename>{filename}</filename>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
    )


def write_voc(root: Path, images: dict[str, str] | None = None, lists: dict[str, list[str]] | None = None) -> Path:
    """``images`` maps image names to XML; ``lists`` maps ``Main/train`` and the like to image names."""
    for name, xml in (images or {"a": voc_xml(voc_object())}).items():
        (root / "Annotations").mkdir(parents=True, exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(xml)
        write_photo(root / "JPEGImages" / f"{name}.jpg")
    for name, lines in (lists or {}).items():
        file = root / "ImageSets" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
    return root


def coco_content() -> dict:
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": SIZE[0], "height": SIZE[1]}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 70, "image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 20], "iscrowd": 0, "segmentation": []},
            {"id": 71, "image_id": 7, "category_id": 18, "bbox": [40.5, 10, 10.25, 20], "iscrowd": 1},
        ],
    }


def write_coco(root: Path, content: dict | str | None = None) -> Path:
    write_photo(root / "images" / "a.jpg")
    text = content if isinstance(content, str) else json.dumps(content or coco_content())
    (root / "instances.json").write_text(text)
    return root


def write_yolo(root: Path, labels: dict[str, str] | None = None, data_yaml: str | None = None) -> Path:
    """``labels`` maps image names to the text of their label files; both images and labels are of split train."""
    for name, text in (labels or {"a": "1 0.5 0.5 0.5 0.25\n"}).items():
        write_photo(root / "images" / "train" / f"{name}.jpg")
        file = root / "labels" / "train" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "data.yaml").write_text(data_yaml or "train: images/train\nnames: [cat, dog]\n")
    return root


def labelme_shape(kind: str = "polygon", points: list | None = None, label: str = "cat", **more: object) -> dict:
    corners = points or [[10, 5], [30, 5], [30, 25], [10, 25]]
    return {"label": label, "points": corners, "group_id": None, "shape_type": kind, "flags": {}, **more}


def write_labelme(root: Path, *shapes: dict, **fields: object) -> Path:
    write_photo(root / "a.jpg")
    content = {"version": "5.5.0", "flags": {}, "shapes": list(shapes) or [labelme_shape()], "imagePath": "a.jpg"}
    content |= {"imageData": None, "imageHeight": SIZE[1], "imageWidth": SIZE[0], **fields}
    (root / "a.json").write_text(json.dumps(content))
    return root


def png_base64(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def blob(seed: int, height: int = SIZE[1], width: int = SIZE[0], density: float = 0.5) -> np.ndarray:
    """A mask with several parts and holes: smoothed noise above a threshold."""
    noise = np.random.default_rng(seed).random((height + 6, width + 6))
    smooth = sum(noise[y : y + height, x : x + width] for y in range(7) for x in range(7)) / 49
    return smooth > np.quantile(smooth, 1 - density)
