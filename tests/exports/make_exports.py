"""Makes the exports in this folder with the tools' own packages: the boxes of two drawn images, and of one its masks.

Run in an environment with the package, once for each tool. Versions that made what is here (November 2026):
    python make_exports.py cvat            # datumaro 1.13.12: CVAT writes COCO, VOC and YOLO through it
    python make_exports.py label_studio    # label-studio-sdk 2.1.2: its converter is the server's
    python make_exports.py fiftyone        # fiftyone 1.22.1, with a MongoDB at FIFTYONE_DATABASE_URI
    python make_exports.py labelimg        # labelImg 1.8.6
    python make_exports.py labelme         # labelme 7.9.1
    python make_exports.py anylabeling     # anylabeling 0.4.43
    python make_exports.py x_anylabeling   # x-anylabeling-cvhub 4.2.1
    python make_exports.py ultralytics     # ultralytics 8.4.190
    python make_exports.py roboflow        # supervision 0.31.2 with opencv-python-headless 5.0.0.93
Those with a window (labelimg, anylabeling and x_anylabeling) need QT_QPA_PLATFORM=offscreen where there is no screen.

Some tools write less than a data set; the rest is laid here as they do or say:
- Roboflow's server makes its exports, and no package does. The files are those of its library, supervision; the folders
  train, valid and test, and the three lines of data.yaml that name them, are the layout.
- Ultralytics reads a layout and writes labels into it: they are those of its converters from COCO and DOTA. data.yaml
  is one of its own, cut to the classes here, and the images are put into their folder.
- X-AnyLabeling's window writes labels into a folder beside that of the images, where the images and, for YOLO, the list
  of classes that it was given are put too.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

from PIL import Image  # noqa: E402 - the folder above has to be known first

from shapes_data import CLASSES, IMAGES, draw, inside_of  # noqa: E402

NAMES = ("b", "d")
"""The images; what can have subfolders has the second in ``sub``."""

OF_DOTA = dict(zip(CLASSES, ("plane", "ship", "storage-tank"), strict=True))
"""The first classes of DOTA: Ultralytics' converter knows no others."""

Box = tuple[int, int, int, int]
Points = list[tuple[float, float]]


def photo(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jpg"
    Image.fromarray(draw(*IMAGES[name], seed=0)).save(path, quality=60)
    return path


def emptied(name: str) -> Path:
    out = HERE / name
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    return out


def no_home(name: str) -> None:
    """Take the folder that an export was written to out of the XML files that name it."""
    for file in (HERE / name).glob("*.xml"):
        file.write_text(file.read_text().replace(str(HERE.resolve()), "/exports"))


def corners(box: Box) -> Points:
    x0, y0, x1, y1 = box
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def outline(kind: str, box: Box) -> Points:
    """The corners of a drawn shape; a disk has 32."""
    (x0, y0, x1, y1), arm = box, 0.4
    if kind == "square":
        return corners(box)
    cross = [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm)]
    disk = [(math.cos(angle), math.sin(angle)) for angle in (math.pi * index / 16 for index in range(32))]
    unit = disk if kind == "disk" else [*cross, *[(-x, -y) for x, y in cross]]
    return [(round((x0 + x1 + x * (x1 - x0)) / 2, 2), round((y0 + y1 + y * (y1 - y0)) / 2, 2)) for x, y in unit]


def turned(box: Box) -> Points:
    """The corners of the rectangle, turned by 30 degrees, that touches all four sides of a box."""
    (x0, y0, x1, y1), sine, cosine = box, 0.5, 0.75**0.5
    across = ((y1 - y0) * cosine - (x1 - x0) * sine) * sine / (cosine**2 - sine**2)
    down = ((x1 - x0) * cosine - (y1 - y0) * sine) * sine / (cosine**2 - sine**2)
    return [(x0 + across, y0), (x1, y0 + down), (x1 - across, y1), (x0, y1 - down)]


def make_cvat(photos: Path) -> None:
    from datumaro import Bbox, Dataset, DatasetItem, Mask
    from datumaro.components.media import Image as Media

    def dataset(subset: str | None = None, masks: bool = False) -> Dataset:
        items = []
        for number, name in enumerate(NAMES):
            size, shapes = IMAGES[name]
            of_cvat = {"occluded": False, "rotation": 0.0, "colour": "red"}  # the last is an attribute of the task's
            annotations = [
                Mask(inside_of(kind, box, size), label=CLASSES.index(kind), group=index + 1)
                if masks
                else Bbox(*box[:2], box[2] - box[0], box[3] - box[1], label=CLASSES.index(kind), attributes=of_cvat)
                for index, (kind, box) in enumerate(shapes)
            ]
            image = Media.from_file(path=str(photo(photos, name)))
            path = f"sub/{name}" if number else name
            items.append(
                DatasetItem(path, subset=subset or ("train", "val")[number], media=image, annotations=annotations)
            )
        return Dataset.from_iterable(items, categories=list(CLASSES))

    # A task without subsets has the subset "default"; YOLO's formats have names of their own for them.
    dataset("default").export(str(emptied("cvat/coco")), "coco_instances", save_media=True)
    dataset("default").export(str(emptied("cvat/voc")), "voc", save_media=True, label_map="source")
    dataset("train").export(str(emptied("cvat/yolo")), "yolo", save_media=True)
    dataset().export(str(emptied("cvat/yolo_ultralytics")), "yolo_ultralytics", save_media=True)
    dataset("default").export(str(emptied("cvat/cvat_images")), "cvat", save_media=True, allow_undeclared_attrs=True)
    dataset("default", masks=True).export(str(emptied("cvat/coco_masks")), "coco_instances", save_media=True)


def make_label_studio(photos: Path) -> None:
    from label_studio_sdk.converter import Converter

    server = photos / "media" / "upload" / "1"  # where the server keeps what was uploaded, under names of its own
    server.mkdir(parents=True)
    tasks = []
    for number, name in enumerate(NAMES, start=1):
        (width, height), shapes = IMAGES[name]
        uploaded = photo(photos, name).rename(server / f"8f3a1b2c-{name}.jpg")
        result = [
            {
                "id": f"r{index}",
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "x": x0 / width * 100,
                    "y": y0 / height * 100,
                    "width": (x1 - x0) / width * 100,
                    "height": (y1 - y0) / height * 100,
                    "rotation": 0,
                    "rectanglelabels": [kind],
                },
            }
            for index, (kind, (x0, y0, x1, y1)) in enumerate(shapes)
        ]
        annotations = [{"id": number, "completed_by": 1, "result": result, "was_cancelled": False}]
        tasks.append({"id": number, "data": {"image": f"/data/upload/1/{uploaded.name}"}, "annotations": annotations})
    (photos / "tasks.json").write_text(json.dumps(tasks))
    labels = "".join(f'<Label value="{name}"/>' for name in CLASSES)
    config = (
        '<View><Image name="image" value="$image"/>'
        f'<RectangleLabels name="label" toName="image">{labels}</RectangleLabels></View>'
    )
    converter = Converter(config, project_dir=str(photos / "media"), upload_dir=str(photos / "media" / "upload"))
    for kind in ("COCO_WITH_IMAGES", "YOLO_WITH_IMAGES", "VOC"):
        converter.convert(str(photos / "tasks.json"), str(photos / kind), kind, is_dir=False)
        shutil.copytree(photos / kind, emptied(f"label_studio/{kind.lower()}"))


def make_fiftyone(photos: Path) -> None:
    import fiftyone as fo

    dataset = fo.Dataset()
    for name in NAMES:
        (width, height), shapes = IMAGES[name]
        boxes = [
            (kind, [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height])
            for kind, (x0, y0, x1, y1) in shapes
        ]
        detections = [fo.Detection(label=kind, bounding_box=box) for kind, box in boxes]
        path = str(photo(photos, name))
        dataset.add_sample(fo.Sample(filepath=path, boxes=fo.Detections(detections=detections)))
    kinds = {
        "coco": (fo.types.COCODetectionDataset, {}),
        "yolo": (fo.types.YOLOv5Dataset, {"split": "train"}),
        "voc": (fo.types.VOCDetectionDataset, {"include_paths": False}),
    }
    for name, (kind, options) in kinds.items():
        out, classes = emptied(f"fiftyone/{name}"), {} if name == "voc" else {"classes": list(CLASSES)}
        dataset.export(export_dir=str(out), dataset_type=kind, label_field="boxes", **classes, **options)
    dataset.delete()
    yaml = HERE / "fiftyone/yolo/dataset.yaml"  # it names the folder that it was written to
    yaml.write_text(yaml.read_text().replace(str(HERE.resolve()), "/exports"))


def make_labelimg(photos: Path) -> None:
    from libs.labelFile import LabelFile

    for kind in ("voc", "yolo"):
        folder = emptied(f"labelimg/{kind}")
        folder.mkdir()
        for name in NAMES:
            image, file = photo(folder, name), LabelFile()
            shapes = [{"label": shape, "points": corners(box), "difficult": False} for shape, box in IMAGES[name][1]]
            if kind == "voc":
                file.save_pascal_voc_format(str(image.with_suffix(".xml")), shapes, str(image), None)
            else:
                file.save_yolo_format(str(image.with_suffix(".txt")), shapes, str(image), None, list(CLASSES))
    no_home("labelimg/voc")


def make_labelme(photos: Path) -> None:
    from labelme._label_file import Annotation, read_image_file, write_label_file

    def drawn(kind: str, box: Box, size: tuple[int, int]) -> dict[str, Any]:
        x0, y0, x1, y1 = box
        mask = None
        if kind == "square":
            shape_type, points = "rectangle", [(x0, y0), (x1, y1)]
        elif kind == "disk":
            shape_type, points = "circle", [((x0 + x1) / 2, (y0 + y1) / 2), (x1, (y0 + y1) / 2)]
        else:  # its last pixel is in the box
            shape_type, points = "mask", [(x0, y0), (x1 - 1, y1 - 1)]
            mask = inside_of(kind, box, size)[y0:y1, x0:x1]
        return {"shape_type": shape_type, "points": points, "mask": mask}

    for folder in ("shapes", "image_data", "oriented"):
        out = emptied(f"labelme/{folder}")
        out.mkdir()
        for name in NAMES:
            size, shapes = IMAGES[name]
            entries = []
            for kind, box in shapes:
                entry = {"label": kind, "flags": {}, "description": "", "group_id": None, "locked": False}
                if folder == "shapes":
                    entry |= drawn(kind, box, size)
                elif folder == "image_data":
                    entry |= {"shape_type": "polygon", "points": outline(kind, box), "mask": None}
                else:
                    entry |= {"shape_type": "oriented_rectangle", "points": turned(box), "mask": None}
                entries.append({**entry, "other_data": {}})
            image = photo(out, name)
            write_label_file(
                filename=str(image.with_suffix(".json")),
                annotation=Annotation(image.name, read_image_file(filename=str(image)), entries, {}, {}),
                image_height=size[1],
                image_width=size[0],
                save_image_data=folder == "image_data",
            )


def make_anylabeling(photos: Path) -> None:
    from anylabeling.views.labeling.label_file import LabelFile
    from anylabeling.views.labeling.utils.export_worker import ExportWorker

    def drawn(kind: str, box: Box) -> dict[str, Any]:
        if kind == "square":
            return {"shape_type": "rectangle", "points": [box[:2], box[2:]]}
        return {"shape_type": "polygon", "points": outline(kind, box)}

    labels = emptied("anylabeling/labels")
    labels.mkdir()
    for name in NAMES:
        (width, height), shapes = IMAGES[name]
        entries = [
            {"label": kind, "text": "", "group_id": None, "flags": {}, **drawn(kind, box)} for kind, box in shapes
        ]
        LabelFile().save(str(labels / f"{name}.json"), entries, photo(labels, name).name, height, width)
    in_splits = {"split_data": True, "train_ratio": 0.5, "val_ratio": 0.5}
    exports = {
        "voc": ("pascal_voc", {}),
        "coco": ("coco", {}),
        "coco_splits": ("coco", in_splits),
        "yolo": ("yolo", {}),
        "yolo_masks": ("yolo", {"yolo_export_mode": "segmentation"}),
        "yolo_splits": ("yolo", in_splits),
    }
    for name, (kind, options) in exports.items():
        random.seed(0)  # it shuffles the images
        ExportWorker(kind, str(labels), str(emptied(f"anylabeling/{name}")), **options).run()
    no_home("anylabeling/voc")


def make_x_anylabeling(photos: Path) -> None:
    from anylabeling.views.labeling.label_converter import LabelConverter
    from anylabeling.views.labeling.label_file import LabelFile
    from anylabeling.views.labeling.shape import Shape
    from PyQt6.QtCore import QPointF

    def drawn(kind: str, points: Points, shape_type: str) -> dict[str, Any]:
        shape = Shape(label=kind, shape_type=shape_type, difficult=kind == "disk")
        shape.points = [QPointF(*point) for point in points]
        return shape.to_dict()

    points_of = {
        "rectangle": lambda kind, box: corners(box),
        "polygon": outline,
        "rotation": lambda kind, box: turned(box),
    }
    classes = photos / "classes.txt"
    classes.write_text("".join(f"{name}\n" for name in CLASSES))
    no_labels = shutil.ignore_patterns("*.json")
    for kind, mode in (("rectangle", "hbb"), ("polygon", "seg"), ("rotation", "obb")):
        labels = emptied(f"x_anylabeling/{kind}")
        labels.mkdir()
        images = [photo(labels, name) for name in NAMES]
        for image in images:
            (width, height), shapes = IMAGES[image.stem]
            entries = [drawn(label, points_of[kind](label, box), kind) for label, box in shapes]
            LabelFile().save(str(image.with_suffix(".json")), entries, image.name, height, width)
        converter = LabelConverter(classes_file=str(classes))
        yolo = emptied(f"x_anylabeling/yolo_{mode}")
        shutil.copytree(labels, yolo / "images", ignore=no_labels)
        shutil.copy(classes, yolo)
        (yolo / "labels").mkdir()
        for image in images:
            file = yolo / f"labels/{image.stem}.txt"
            converter.custom_to_yolo(str(image.with_suffix(".json")), str(file), mode)
        if kind == "rotation":  # VOC and COCO leave it out
            dota = emptied("x_anylabeling/dota")
            shutil.copytree(labels, dota / "images", ignore=no_labels)
            (dota / "labelTxt").mkdir()
            for image in images:
                converter.custom_to_dota(str(image.with_suffix(".json")), str(dota / f"labelTxt/{image.stem}.txt"))
            continue
        voc, coco = (emptied(f"x_anylabeling/{name}_{kind}") for name in ("voc", "coco"))
        shutil.copytree(labels, voc, ignore=no_labels)
        for image in images:
            file = voc / f"{image.stem}.xml"
            converter.custom_to_voc(str(image), str(image.with_suffix(".json")), str(file), kind)
        no_home(f"x_anylabeling/voc_{kind}")
        shutil.copytree(labels, coco / "images", ignore=no_labels)
        (coco / "annotations").mkdir()
        converter.custom_to_coco([str(image) for image in images], str(labels), str(coco / "annotations"), kind)


def make_ultralytics(photos: Path) -> None:
    import yaml
    from ultralytics.data.converter import convert_coco, convert_dota_to_yolo_obb
    from ultralytics.utils import ROOT

    def coco_of(name: str) -> dict[str, Any]:
        """Its objects have two keypoints: the first corner and the middle."""
        (width, height), shapes = IMAGES[name]
        annotations = [
            {
                "id": number,
                "image_id": 1,
                "category_id": CLASSES.index(kind) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "segmentation": [[value for point in outline(kind, (x0, y0, x1, y1)) for value in point]],
                "keypoints": [x0, y0, 1, (x0 + x1) / 2, (y0 + y1) / 2, 2],
            }
            for number, (kind, (x0, y0, x1, y1)) in enumerate(shapes, start=1)
        ]
        images = [{"id": 1, "file_name": f"{name}.jpg", "width": width, "height": height}]
        return {"images": images, "annotations": annotations}

    def dota_line(kind: str, points: Points) -> str:
        return " ".join([*(str(value) for point in points for value in point), OF_DOTA[kind], "0\n"])

    splits = dict(zip(("train", "val"), NAMES, strict=True))
    coco, dota = photos / "coco", photos / "dota"
    coco.mkdir()
    for split, name in splits.items():
        (coco / f"instances_{split}.json").write_text(json.dumps(coco_of(name)))
        lines = [dota_line(kind, turned(box)) for kind, box in IMAGES[name][1]]
        for folder in (dota / f"images/{split}", dota / f"labels/{split}_original"):
            folder.mkdir(parents=True)
        (dota / f"labels/{split}_original/{name}.txt").write_text("".join(lines))
        Image.open(photo(photos, name)).save(dota / f"images/{split}/{name}.png")  # it takes no others
    convert_dota_to_yolo_obb(str(dota))
    for kind, options in {"detect": {}, "segment": {"use_segments": True}, "pose": {"use_keypoints": True}}.items():
        convert_coco(str(coco), str(emptied(f"ultralytics/{kind}")), cls91to80=False, **options)
    obb = emptied("ultralytics/obb")
    for split in splits:
        shutil.copytree(dota / f"labels/{split}", obb / f"labels/{split}")
    datasets = {"detect": "coco8", "segment": "coco8-seg", "pose": "coco8-pose", "obb": "dota8"}
    for kind, dataset in datasets.items():
        out = HERE / "ultralytics" / kind
        for split, name in splits.items():
            (out / f"images/{split}").mkdir(parents=True)
            photo(out / f"images/{split}", name)
        content = yaml.safe_load((ROOT / f"cfg/datasets/{dataset}.yaml").read_text())
        del content["download"]
        content["names"] = dict(enumerate(CLASSES))
        if kind == "pose":
            content |= {"kpt_shape": [2, 3], "flip_idx": [0, 1], "kpt_names": {0: ["corner", "middle"]}}
        (out / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def make_roboflow(photos: Path) -> None:
    import numpy as np
    import supervision as sv

    def dataset(name: str, masks: bool) -> sv.DetectionDataset:
        size, shapes = IMAGES[name]
        path = str(photo(photos, name))
        detections = sv.Detections(
            xyxy=np.array([box for _, box in shapes], dtype=float),
            class_id=np.array([CLASSES.index(kind) for kind, _ in shapes]),
            mask=np.array([inside_of(*shape, size) for shape in shapes]) if masks else None,
            data={"xyxyxyxy": np.array([turned(box) for _, box in shapes])},
        )
        return sv.DetectionDataset(list(CLASSES), [path], {path: detections})

    for kind in ("coco", "coco_masks", "voc", "yolo", "yolo_masks", "yolo_obb"):
        out = emptied(f"roboflow/{kind}")
        for split, name in {"train": "b", "valid": "d", "test": "c"}.items():
            part, folder = dataset(name, kind.endswith("masks")), out / split
            if kind.startswith("coco"):
                part.as_coco(str(folder), str(folder / "_annotations.coco.json"))
            elif kind == "voc":
                part.as_pascal_voc(str(folder), str(folder))
            else:
                places = (folder / "images", folder / "labels", out / "data.yaml")
                part.as_yolo(*map(str, places), is_obb=kind == "yolo_obb")
        if kind.startswith("yolo"):
            yaml = out / "data.yaml"
            layout = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\n"
            yaml.write_text(layout + yaml.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        globals()[f"make_{sys.argv[1]}"](Path(folder))
