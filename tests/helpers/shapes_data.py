"""A tiny VOC data set that tests draw: plain shapes on textured backgrounds, one true box a shape."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("disk", "square", "cross")
COLORS = {"disk": (220, 60, 40), "square": (40, 90, 230), "cross": (240, 220, 60)}

Shape = tuple[str, tuple[int, int, int, int]]
"""A class, and its box xyxy in pixel-edge coordinates."""

IMAGES: dict[str, tuple[tuple[int, int], tuple[Shape, ...]]] = {
    "a": ((96, 72), (("disk", (10, 12, 50, 52)),)),
    "b": ((80, 96), (("square", (8, 20, 40, 60)), ("disk", (44, 50, 76, 82)))),
    "c": ((90, 70), (("cross", (30, 10, 80, 60)),)),
    "d": ((64, 64), (("square", (5, 5, 30, 40)), ("cross", (20, 25, 60, 60)))),  # they overlap
    "e": ((101, 67), (("disk", (60, 8, 95, 43)), ("disk", (5, 20, 35, 50)))),
    "f": ((72, 72), (("square", (0, 0, 72, 72)),)),  # covers everything
}
"""Size (width, height) and shapes of every image."""


def draw(size: tuple[int, int], shapes: Sequence[Shape], seed: int) -> np.ndarray:
    """An image uint8 (H, W, 3): each shape touches all four sides of its box."""
    width, height = size
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] + 0.5
    image = np.empty((height, width, 3))
    image[:] = (90, 120, 80) + 20 * np.sin(rows / 5 + columns / 9)[:, :, None]
    for name, box in shapes:
        image[inside_of(name, box, size)] = COLORS[name]
    return np.clip(image + generator.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def true_mask(size: tuple[int, int], shapes: Sequence[Shape]) -> np.ndarray:
    """The class of every pixel, uint8 (H, W); shapes are in front of those before them, as they are drawn."""
    mask = np.zeros(size[::-1], dtype=np.uint8)
    for name, box in shapes:
        mask[inside_of(name, box, size)] = CLASSES.index(name) + 1
    return mask


def inside_of(name: str, box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """The pixels of a shape, bool (H, W)."""
    x0, y0, x1, y1 = box
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    across, down = (columns - x0) / (x1 - x0) * 2 - 1, (rows - y0) / (y1 - y0) * 2 - 1
    inside = np.maximum(abs(across), abs(down)) < 1
    if name == "disk":
        inside &= across**2 + down**2 < 1
    elif name == "cross":
        inside &= np.minimum(abs(across), abs(down)) < 0.4
    return inside


def annotation(size: tuple[int, int], shapes: Sequence[Shape], filename: str) -> str:
    """VOC's XML, whose corners are 1-based and inclusive."""
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, (x0, y0, x1, y1) in shapes
    )
    return (
        f"<annotation><filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    )


def write_shapes(root: Path, images: dict[str, tuple[tuple[int, int], tuple[Shape, ...]]] | None = None) -> Path:
    """Write the data set as VOC with one split, ``train``; returns ``root``."""
    images = IMAGES if images is None else images
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for seed, (name, (size, shapes)) in enumerate(images.items()):
        Image.fromarray(draw(size, shapes, seed)).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        (root / "Annotations" / f"{name}.xml").write_text(annotation(size, shapes, f"{name}.jpg"))
    (root / "ImageSets/Main/train.txt").write_text("".join(f"{name}\n" for name in images))
    (root / "labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return root


def write_true_masks(root: Path) -> Path:
    """Write the true masks of classes and objects beside the data set that write_shapes has written."""
    for folder in ("SegmentationClass", "SegmentationObject"):
        (root / folder).mkdir()
    for name, (size, shapes) in IMAGES.items():
        objects = np.zeros(size[::-1], dtype=np.uint8)
        for number, (kind, box) in enumerate(shapes, start=1):
            objects[inside_of(kind, box, size)] = number
        for folder, values in (("SegmentationClass", true_mask(size, shapes)), ("SegmentationObject", objects)):
            Image.fromarray(values).save(root / folder / f"{name}.png")
    return root
