"""The readers of files that are not trusted, each with valid files to begin from: for the tests and ``benchmarks/``.

A reader here writes an input where a user would have it, reads it as bana does and looks at all that was read.
"""

from __future__ import annotations

import base64
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import yaml
from PIL import Image, PngImagePlugin
from safetensors.torch import save as save_safetensors
from torch import nn, optim

from bana import read_dataset
from bana.classify.model import LABELER, BoxClassifier
from bana.classify.settings import ClassifySettings
from bana.data.images import image_size, is_upright, open_image
from bana.data.label_maps import label_map_png, png, read_label_map
from bana.data.masks import encode_mask
from bana.data.objects import AnnotatedObject, make_record
from bana.data.pixel_values import read_pixel_values
from bana.data.records import BoxDataset, ClassTable
from bana.data.truth import instance_truth, read_class_map, semantic_truth
from bana.engine.checkpoint import check_same_run, load_tensors, optimizer_tensors, restore_optimizer, save_tensors
from bana.nn import network_file
from bana.nn.backbones import Backbone, BackboneInfo
from bana.nn.network_file import NetworkFacts, join_networks
from bana.nn.weights import load_weights, read_state_dict
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset
from bana.refine.model import REFINER, BoxRefiner
from bana.refine.settings import RefineSettings
from bana.segment.model import SEGMENTER, SegmentationNetwork
from bana.segment.settings import SegmentSettings
from fuzz_mutations import (
    Mutate,
    changed_json,
    changed_png,
    changed_safetensors,
    changed_words,
    changed_xml,
    changed_yaml,
    changed_zip,
)
from shapes_data import CLASSES, IMAGES, annotation, draw, true_mask

Read = Callable[[bytes], None]
"""Reads content as a file; whatever it raises that is no BanaError is a defect."""

SIZE, SHAPES = IMAGES["b"]
OUTLINE = [8.0, 20.0, 40.0, 20.0, 40.0, 60.0, 8.0, 60.0]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: Makes valid files to begin from.
        opened: Makes the reader, given an empty folder for its files.
        mutate: Changes a valid file.
    """

    seeds: Callable[[], list[bytes]]
    opened: Callable[[Path], Read]
    mutate: Mutate


def _photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(SIZE, SHAPES, 0)).save(path)


def _look_at(dataset: BoxDataset) -> None:
    """Everything that a record gives."""
    assert dataset.fingerprint()
    for record in dataset:
        assert 0 <= record.background_share <= 1
        semantic_truth(record, dataset.class_table)
        instance_truth(record)


def _dataset_reader(kind: str, file: str, photo: str, folder: Path, more: dict[str, str] | None = None) -> Read:
    _photo(folder / photo)
    for name, text in (more or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        _look_at(read_dataset(folder, format=kind))

    return read


def _frames_reader(kind: str, file: str, pattern: str, folder: Path, more: dict[str, str] | None = None) -> Read:
    for number in range(8):
        _photo(folder / pattern.format(number))
    return _dataset_reader(kind, file, pattern.format(1), folder, more)


def _voc_seeds() -> list[bytes]:
    plain = annotation(SIZE, SHAPES, "a.jpg")
    full = plain.replace("<name>disk</name>", "<name>disk</name><difficult>1</difficult><pose>x</pose>")
    turned = "</bndbox><robndbox><cx>40</cx><cy>30</cy><w>20</w><h>10</h><angle>0.5</angle></robndbox>"
    sizeless = plain.replace("<width>80</width>", "<width>0</width>")
    return [each.encode() for each in (plain, full, sizeless, plain.replace("</bndbox>", turned))]


def _cvat_seeds() -> list[bytes]:
    shapes = (
        '<box label="cat" xtl="1" ytl="2" xbr="20.5" ybr="30" rotation="12.5"/>'
        '<polygon label="dog" points="1,1;9,1;9,9.5"/>'
        '<mask label="cat" rle="2, 3, 1" left="5" top="6" width="3" height="2"/><points label="cat" points="5,5"/>'
    )
    image = f'<image id="0" name="a.jpg" width="{SIZE[0]}" height="{SIZE[1]}" subset="train">{shapes}</image>'
    labels = "<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>"
    return [f"<annotations>{meta}{image}</annotations>".encode() for meta in ("", labels)]


def _cvat_video_seeds() -> list[bytes]:
    places = 'xtl="1" ytl="2" xbr="20.5" ybr="30"'
    boxes = [f'<box frame="{at}" outside="{int(at == 4)}" {places} rotation="{9 * at}"/>' for at in (0, 2, 4, 6)]
    other = '<polygon frame="1" outside="0" points="1,1;9,1;9,9.5"/><points frame="2" points="5,5"/>'
    tracks = f'<track id="0" label="cat">{"".join(boxes)}</track><track id="x" label="dog">{other}</track>'
    size = f"<original_size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></original_size>"
    more = "<start_frame>0</start_frame><stop_frame>6</stop_frame><frame_filter>step=1</frame_filter>"
    return [
        f"<annotations><meta><task>{each}</task></meta>{tracks}</annotations>".encode() for each in ("", size + more)
    ]


def _mot_seeds() -> list[bytes]:
    return [
        b"1,1,11,6,20,20,1,1,0.5\n2,1,12,6,20,20,1,1,1\n1,2,1,1,5,5,0,8,1\n",
        b"1,-1,11.5,6,20,20,0.25\n1,3,-4,6,20,200,1,-1,-1,-1\n",
    ]


def _seqinfo_seeds() -> list[bytes]:
    sizes = f"imWidth={SIZE[0]}\nimHeight={SIZE[1]}\n"
    return [f"[Sequence]\nname=a\nimDir=img1\nframeRate=25\nseqLength=1\n{sizes}imExt=.jpg\n".encode()]


def _coco_seeds() -> list[bytes]:
    mask = true_mask(SIZE, SHAPES) > 0
    runs = {"size": [SIZE[1], SIZE[0]], "counts": [100, 40, SIZE[0] * SIZE[1] - 140]}
    masks = [[OUTLINE], encode_mask(mask), runs, None]
    entries = [
        {"id": number, "image_id": 1, "category_id": number % 2 + 3, "bbox": [8, 20, 32, 40], "iscrowd": number % 2}
        | {"segmentation": mask, "area": 1280.5, "score": 0.5, "track_id": number, "attributes": {"track_id": 3}}
        for number, mask in enumerate(masks)
    ]
    image = {"id": 1, "file_name": "a.jpg", "width": SIZE[0], "height": SIZE[1]}
    classes = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 2)]
    whole = {"info": {}, "images": [image], "annotations": entries, "categories": classes}
    whole["videos"] = [{"id": 4, "name": "clip", "fps": 25}]
    image |= {"video_id": 4, "frame_id": 0}
    bare = whole | {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": entries[:1]}
    return [json.dumps(each).encode() for each in (whole, bare)]


def _labelme_seeds() -> list[bytes]:
    ring = [OUTLINE[at : at + 2] for at in range(0, 8, 2)]
    shapes = [
        {"label": "disk", "points": ring, "group_id": 1, "shape_type": "polygon", "flags": {"difficult": True}},
        {"label": "disk", "points": ring[::2], "group_id": 1, "shape_type": "rectangle", "score": 0.5},
        {"label": "cross", "points": [[8, 20], [12, 24]], "shape_type": "mask", "mask": _mask_text((5, 5))},
        {"label": "disk", "points": ring, "shape_type": "oriented_rectangle", "difficult": True},
    ]
    whole = {"version": "5.5.0", "shapes": shapes, "imagePath": "a.jpg", "imageHeight": SIZE[1], "imageWidth": SIZE[0]}
    return [json.dumps(each).encode() for each in (whole, whole | {"imageHeight": None, "shapes": shapes[:1]})]


def _mask_text(size: tuple[int, int]) -> str:
    return base64.b64encode(png(Image.new("L", size, 255))).decode()


def _yolo_seeds() -> list[bytes]:
    return [
        b"0 0.5 0.5 0.25 0.25\n1 0.3 0.4 0.2 0.2 0.75\n",
        b"2 0.1 0.1 0.5 0.1 0.5 0.5\n0 .1 .1 .5 .1 .5 .5 .1 .5 1\n",
    ]


def _dota_seeds() -> list[bytes]:
    return [
        b"imagesource:GoogleEarth\ngsd:0.5\n10 5 30 10 25 30 5 25 disk 0\n1 2 9 2 9 8 1 8 square 1\n",
        b"10 5 30 10 25 30 5 25 small vehicle 0\n10 5 30 10 25 30 5 25 cross\n",
    ]


def _bana_yaml_seeds() -> list[bytes]:
    return [b"images: {range: [0, 4095.5], bands: [3, 2, 1]}\n", b"images:\n  range: data\n  bands: [2]\n"]


def _bana_yaml_reader(folder: Path) -> Read:
    _photo(folder / "a.png")

    def read(content: bytes) -> None:
        (folder / "bana.yaml").write_bytes(content)
        assert open_image(folder / "a.png", read_pixel_values(folder)).shape == (SIZE[1], SIZE[0], 3)

    return read


def _data_yaml_seeds() -> list[bytes]:
    lists = b"path: .\ntrain: images/train\nval: [images/train, list.txt]\nnc: 3\nnames: [disk, square, cross]\n"
    return [lists, b"train: ./images/train\nnames:\n  0: disk\n  1: square\n  2: cross\ndownload: x\n"]


def _data_yaml_reader(folder: Path) -> Read:
    read = _dataset_reader("yolo", "data.yaml", "images/train/a.jpg", folder, {
        "labels/train/a.txt": _yolo_seeds()[0].decode(), "list.txt": "./images/train/a.jpg\n",
    })  # fmt: skip

    def both(content: bytes) -> None:
        text = content.decode("latin-1")
        if "train" in text:
            (folder / "data.yaml").write_bytes(content)
            _look_at(read_dataset(folder, split="train", format="yolo"))
        else:
            read(content)

    return both


def _mask_seeds() -> list[bytes]:
    mask = true_mask(SIZE, SHAPES)
    void = np.where(mask == 1, 255, mask).astype(np.uint8)
    wide = np.where(mask == 1, 65535, mask.astype(np.int32)).astype(np.uint16)
    return [label_map_png(mask), label_map_png(void), label_map_png(wide), png(Image.fromarray(mask))]


def _mask_reader(folder: Path) -> Read:
    path = folder / "mask.png"
    record = make_record("a", folder / "a.jpg", SIZE, [AnnotatedObject((8, 20, 40, 60), 1)])

    def read(content: bytes) -> None:
        path.write_bytes(content)
        assert read_label_map(path, *SIZE).shape == SIZE[::-1]
        assert read_class_map(path, record, ClassTable(CLASSES)).max() <= 255

    return read


def _image_seeds() -> list[bytes]:
    colors = Image.fromarray(draw((24, 17), (), 0))
    gray = colors.convert("L")
    text = PngImagePlugin.PngInfo()
    text.add_text("key", "value" * 30, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = {"icc_profile": b"icc" * 30}
    deep = Image.fromarray(np.arange(24 * 17, dtype=np.uint16).reshape(17, 24) * 160)
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        *[(colors, kind, {}) for kind in ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")],
        *[(colors, kind, {"exif": exif}) for kind in ("JPEG", "PNG", "WEBP", "TIFF")],
        *[(colors, "TIFF", {"compression": how}) for how in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")],
        *[(gray, kind, {}) for kind in ("JPEG", "PNG", "TIFF", "BMP")],
        *[(colors.convert(mode), "PNG", {}) for mode in ("RGBA", "LA", "P", "1")],
        *[(colors.convert(mode), "TIFF", {}) for mode in ("CMYK", "F", "I", "RGBA")],
        *[(colors.quantize(9), kind, {"transparency": 1}) for kind in ("PNG", "GIF")],
        *[(colors, kind, {"save_all": True, "append_images": [gray]}) for kind in ("PNG", "GIF", "WEBP")],
        *[(deep, kind, {}) for kind in ("PNG", "TIFF")],
        (colors, "PNG", {"pnginfo": text, **profile}),
        (colors.convert("CMYK"), "JPEG", {"progressive": True, **profile}),
        (colors, "WEBP", {"lossless": True}),
        (Image.new("RGB", (1, 1)), "PNG", {}),
    ]  # fmt: skip
    return [_saved(image, kind, options) for image, kind, options in kinds]


def _saved(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _image_reader(folder: Path) -> Read:
    path = folder / "a.jpg"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        size = image_size(path)
        is_upright(path)
        pixels = open_image(path)
        assert pixels.shape == (size[1], size[0], 3)
        assert pixels.dtype == np.uint8

    return read


class _TinyStage:
    """What a checkpoint is put back into."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(3, 2)
        self.optimizer = optim.AdamW(self.model.parameters())


IDENTITY = {"settings": {"rate": 0.1, "epochs": 3}, "data": "abc", "seed": 5}


def _checkpoint_seeds() -> list[bytes]:
    stage = _TinyStage()
    stage.model(torch.ones(1, 3)).sum().backward()
    stage.optimizer.step()
    tensors = {f"model.{name}": value for name, value in stage.model.state_dict().items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(stage.optimizer).items()}
    facts = {"identity": IDENTITY, "steps": 3, "best": 0.5, "scaler": {}}
    return _written(lambda path: save_tensors(path, tensors, facts))


def _checkpoint_reader(folder: Path) -> Read:
    path = folder / "checkpoint.safetensors"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        check_same_run(path, IDENTITY)
        tensors, _ = load_tensors(path)
        stage = _TinyStage()
        parts = {
            part: {name.removeprefix(part): value for name, value in tensors.items() if name.startswith(part)}
            for part in ("model.", "optimizer.")
        }
        load_weights(stage.model, parts["model."], path)
        restore_optimizer(stage.optimizer, parts["optimizer."], path)

    return read


def _tiny_backbone(*_: object) -> Backbone:
    """In the place of a real one, which takes a tenth of a second to build."""
    info = BackboneInfo((2,), (2,), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "", "")
    return Backbone(nn.Conv2d(3, 2, 1, stride=2), info)


def _written(save: Callable[[Path], None]) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.safetensors"
        save(file)
        return [file.read_bytes()]


def _save_tiny_labeler(path: Path) -> None:
    settings = ClassifySettings(crop_size=65, head_width=2)
    LABELER.save(path, BoxClassifier(_tiny_backbone(), 3, 2), NetworkFacts(CLASSES, settings, label={"u0": "cam"}))


def _save_tiny_segmenter(path: Path) -> None:
    settings = SegmentSettings(crop_size=65, head="none")
    SEGMENTER.save(path, SegmentationNetwork(_tiny_backbone(), None, 2, 3), NetworkFacts(CLASSES, settings))


def _save_tiny_refiner(path: Path) -> None:
    """A labeler file that has a refiner."""
    settings = RefineSettings(crop_size=65)
    refiner = path.with_name("refiner.safetensors")
    REFINER.save(refiner, BoxRefiner(_tiny_backbone(), settings.context), NetworkFacts(CLASSES, settings))
    _save_tiny_labeler(path)
    join_networks(path, refiner, REFINER, path, label={"refine": True})


def _network_reader(load: Callable[[Path], object], folder: Path) -> Read:
    path = folder / "network.safetensors"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        with patch.object(network_file, "build_backbone", _tiny_backbone):
            load(path)

    return read


def _weights_state() -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in _TinyStage().model.state_dict().items()}


def _torch_seeds() -> list[bytes]:
    state = _weights_state()
    files = []
    for content, how in ((state, True), ({"state_dict": state, "epoch": 3}, True), (state, False)):
        file = io.BytesIO()
        torch.save(content, file, _use_new_zipfile_serialization=how)
        files.append(file.getvalue())
    return files


def _weights_reader(name: str, folder: Path) -> Read:
    path = folder / name

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_weights(_TinyStage().model, read_state_dict(path), path)

    return read


def _obj_data_seeds() -> list[bytes]:
    return [
        b"classes = 3\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n",
        b"names = obj.names\ntrain = ./train.txt\n",
    ]


def _preset_seeds() -> list[bytes]:
    """One for each stage: short, for PyYAML reads slowly."""
    recipe = json.loads(Recipe().model_dump_json())
    return [yaml.safe_dump({stage: settings}).encode() for stage, settings in recipe.items()]


def _preset_reader(folder: Path) -> Read:
    path = folder / "preset.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_preset(str(path), Recipe)

    return read


_SPLITS = {"labels/train/x.txt": "", "data.yaml": "train: images/train\nnames: [disk, square, cross]\n"}

_DARKNET = {"obj.names": "disk\nsquare\ncross\n", "train.txt": "data/a.jpg\n", "a.txt": _yolo_seeds()[0].decode()}

TARGETS: dict[str, Target] = {
    "voc": Target(_voc_seeds, partial(_dataset_reader, "voc", "Annotations/a.xml", "JPEGImages/a.jpg"), changed_xml),
    "cvat": Target(_cvat_seeds, partial(_dataset_reader, "cvat", "annotations.xml", "images/a.jpg"), changed_xml),
    "cvat_video": Target(
        _cvat_video_seeds, partial(_frames_reader, "cvat", "annotations.xml", "images/frame_{:06d}.jpg"), changed_xml
    ),
    "mot": Target(_mot_seeds, partial(_frames_reader, "mot", "gt/gt.txt", "img1/{:06d}.jpg"), changed_words),
    "seqinfo": Target(
        _seqinfo_seeds,
        partial(_frames_reader, "mot", "seqinfo.ini", "img1/{:06d}.jpg", more={"gt/gt.txt": "1,1,11,6,20,20\n"}),
        changed_words,
    ),
    "coco": Target(_coco_seeds, partial(_dataset_reader, "coco", "instances.json", "images/a.jpg"), changed_json),
    "yolo": Target(
        _yolo_seeds,
        partial(_dataset_reader, "yolo", "labels/train/a.txt", "images/train/a.jpg", more=_SPLITS),
        changed_words,
    ),
    "data_yaml": Target(_data_yaml_seeds, _data_yaml_reader, changed_yaml),
    "obj_data": Target(
        _obj_data_seeds, partial(_dataset_reader, "yolo", "obj.data", "a.jpg", more=_DARKNET), changed_words
    ),
    "dota": Target(_dota_seeds, partial(_dataset_reader, "dota", "labelTxt/a.txt", "images/a.jpg"), changed_words),
    "bana_yaml": Target(_bana_yaml_seeds, _bana_yaml_reader, changed_yaml),
    "labelme": Target(_labelme_seeds, partial(_dataset_reader, "labelme", "a.json", "a.jpg"), changed_json),
    "masks": Target(_mask_seeds, _mask_reader, changed_png),
    "images": Target(_image_seeds, _image_reader, changed_png),
    "checkpoint": Target(_checkpoint_seeds, _checkpoint_reader, changed_safetensors),
    "labeler": Target(
        partial(_written, _save_tiny_labeler),
        partial(_network_reader, LABELER.load),
        changed_safetensors,
    ),
    "refiner": Target(
        partial(_written, _save_tiny_refiner),
        partial(_network_reader, REFINER.load),
        changed_safetensors,
    ),
    "segmenter": Target(
        partial(_written, _save_tiny_segmenter),
        partial(_network_reader, SEGMENTER.load),
        changed_safetensors,
    ),
    "weights": Target(_torch_seeds, partial(_weights_reader, "weights.pth"), changed_zip),
    "weights_safetensors": Target(
        lambda: [save_safetensors(_weights_state())],
        partial(_weights_reader, "weights.safetensors"),
        changed_safetensors,
    ),
    "presets": Target(_preset_seeds, _preset_reader, changed_yaml),
}
"""The readers by name."""
