"""Data sets that no command may accept, each with what its error message must name."""

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from shapes_data import CLASSES, IMAGES, annotation, write_shapes

BadData = Callable[[Path], Path]
"""Writes a data set below a folder and gives its path."""


def _voc(root: Path, **changes: tuple) -> Path:
    return write_shapes(root, {"a": IMAGES["a"], "b": IMAGES["b"]} | changes)


def _with_xml(root: Path, old: str, new: str) -> Path:
    file = _voc(root) / "Annotations/a.xml"
    file.write_text(file.read_text().replace(old, new))
    return root


def missing_image(root: Path) -> Path:
    (_voc(root) / "JPEGImages/a.jpg").unlink()
    return root


def truncated_image(root: Path) -> Path:
    photo = _voc(root) / "JPEGImages/a.jpg"
    photo.write_bytes(photo.read_bytes()[:-1500])
    return root


def text_as_image(root: Path) -> Path:
    (_voc(root) / "JPEGImages/a.jpg").write_text("not a photograph")
    return root


def size_mismatch(root: Path) -> Path:
    Image.new("RGB", (50, 52)).save(_voc(root) / "JPEGImages/a.jpg")
    return root


def malformed_xml(root: Path) -> Path:
    return _with_xml(root, "</annotation>", "")


def entity_bomb(root: Path) -> Path:
    file = _voc(root) / "Annotations/a.xml"
    bomb = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>'
    file.write_text(bomb + file.read_text().replace("a.jpg", "&y;"))
    return root


def unknown_class(root: Path) -> Path:
    return _with_xml(root, "disk", "star")


def box_outside(root: Path) -> Path:
    return _voc(root, a=(IMAGES["a"][0], (("disk", (10, 12, 500, 52)),)))


def inverted_box(root: Path) -> Path:
    return _with_xml(root, "<xmax>50</xmax>", "<xmax>5</xmax>")


def nan_box(root: Path) -> Path:
    return _with_xml(root, "<xmax>50</xmax>", "<xmax>nan</xmax>")


def name_that_leaves_the_folder(root: Path) -> Path:
    (_voc(root) / "ImageSets/Main/train.txt").write_text("../../a\n")
    return root


def no_boxes_at_all(root: Path) -> Path:
    for name in "ab":
        (_voc(root) if name == "a" else root).joinpath(f"Annotations/{name}.xml").write_text(
            annotation(IMAGES[name][0], (), f"{name}.jpg")
        )
    return root


def no_images(root: Path) -> Path:
    (_voc(root) / "ImageSets/Main/train.txt").write_text("")
    return root


def _coco(root: Path, **changes: object) -> Path:
    _voc(root / "voc")
    image = {"id": 1, "file_name": "a.jpg", "width": 96, "height": 72}
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 12, 40, 40], "iscrowd": 0}
    content = {
        "images": [image],
        "annotations": [entry | changes],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)],
    }
    (root / "voc/JPEGImages").rename(root / "images")
    (root / "instances.json").write_text(json.dumps(content))
    return root / "instances.json"


def malformed_json(root: Path) -> Path:
    file = _coco(root)
    file.write_text(file.read_text()[:-10])
    return file


def duplicate_ids(root: Path) -> Path:
    file = _coco(root)
    content = json.loads(file.read_text())
    content["images"] *= 2
    file.write_text(json.dumps(content))
    return file


def unknown_category(root: Path) -> Path:
    return _coco(root, category_id=9)


def empty_box(root: Path) -> Path:
    return _coco(root, bbox=[10, 12, 0, 40])


def _yolo(root: Path, text: str) -> Path:
    _voc(root / "voc")
    (root / "images").mkdir()
    (root / "voc/JPEGImages").rename(root / "images/train")
    (root / "labels/train").mkdir(parents=True)
    (root / "labels/train/a.txt").write_text(text)
    (root / "data.yaml").write_text("train: images/train\nnames: [disk, square]\n")
    return root


def malformed_txt(root: Path) -> Path:
    return _yolo(root, "0 0.5 0.5 0.2\n")


def unknown_class_number(root: Path) -> Path:
    return _yolo(root, "7 0.5 0.5 0.2 0.2\n")


BAD_DATA: dict[BadData, str] = {
    missing_image: "a.jpg",
    truncated_image: "a.jpg",
    text_as_image: "a.jpg",
    size_mismatch: "a.jpg",
    malformed_xml: "a.xml",
    entity_bomb: "a.xml",
    name_that_leaves_the_folder: "train.txt",
    no_boxes_at_all: "no boxes",
    no_images: "train",
    malformed_json: "instances.json",
    duplicate_ids: "instances.json",
    unknown_category: "instances.json",
    empty_box: "instances.json",
}
"""Data sets that are refused."""

BAD_OBJECTS: dict[BadData, str] = {
    unknown_class: "a.xml",
    box_outside: "a.xml",
    inverted_box: "a.xml",
    nan_box: "a.xml",
    malformed_txt: "a.txt",
    unknown_class_number: "a.txt",
}
"""Data sets with one bad object, which are refused if they are read strictly."""


def refused(answer, *named):
    """Exit status 2, nothing on standard output, and one line that names these."""
    assert answer.status == 2
    assert answer.out == ""
    lines = [line for line in answer.err.splitlines() if line.startswith("bana: error: ")]
    assert len(lines) == 1
    assert answer.err.splitlines()[-1] == lines[0]
    for name in named:
        assert str(name) in lines[0]


def refused_choice(answer, value, *choices):
    """Exit status 2, nothing on standard output, and an error that names the value and all that may be chosen."""
    assert (answer.status, answer.out) == (2, "")
    said = " ".join(answer.err.replace("│", " ").split())
    assert f"{value!r} is not one of {', '.join(map(repr, choices))}" in said
