"""Makes the exports in this folder with the tools' own packages: the boxes of two drawn images, and of one its masks.

Run in an environment with the package, once for each tool. Versions that made what is here (November 2026):
    python make_exports.py cvat            # datumaro 1.13.12: CVAT writes COCO, VOC and YOLO through it
    python make_exports.py label_studio    # label-studio-sdk 2.1.2: its converter is the server's
    python make_exports.py fiftyone        # fiftyone 1.22.1, with a MongoDB at FIFTYONE_DATABASE_URI
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

from PIL import Image  # noqa: E402 - the folder above has to be known first

from shapes_data import CLASSES, IMAGES, draw, inside_of  # noqa: E402

NAMES = ("b", "d")
"""The images; what can have subfolders has the second in ``sub``."""


def photo(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jpg"
    Image.fromarray(draw(*IMAGES[name], seed=0)).save(path, quality=60)
    return path


def emptied(name: str) -> Path:
    out = HERE / name
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    return out


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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        globals()[f"make_{sys.argv[1]}"](Path(folder))
