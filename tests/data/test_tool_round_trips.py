"""Masks of bana in the packages of other tools, by the code of docs/howto; skipped where a package is not installed."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bana import read_dataset
from bana.data.convert import convert
from bana.data.images import open_image
from bana.data.label_maps import read_label_map
from bana.data.masks import decode_mask, encode_mask, mask_iou, polygons_of
from bana.data.truth import instance_truth
from data_samples import SIZE, blob

EXPORTS = Path(__file__).parents[1] / "exports"
HOWTO = Path(__file__).parents[2] / "docs/howto"


def howto_code(page):
    """The blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```", (HOWTO / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def labeled(run_cli, tmp_path, monkeypatch):
    """Label an export in an empty working folder, with masks of several parts and holes; gives these by image id."""
    monkeypatch.chdir(tmp_path)

    def label(export):
        shutil.copytree(EXPORTS / export, "export")
        options = ("--method", "box", "--formats", "coco", "--workers", 1)
        assert run_cli("label", "export", *options, "--out", "labels").status == 0
        (file,) = Path("labels/coco/annotations").glob("*.json")
        content = json.loads(file.read_text())
        sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
        names = {image["id"]: image["file_name"].removesuffix(".jpg") for image in content["images"]}
        masks: dict[str, list[np.ndarray]] = {name: [] for name in names.values()}
        for annotation in content["annotations"]:
            height, width = sizes[annotation["image_id"]]
            x, y, w, h = (round(number) for number in annotation["bbox"])
            mask = np.zeros((height, width), dtype=bool)
            mask[y : y + h, x : x + w] = blob(annotation["id"], h, w, density=0.6)
            annotation["segmentation"] = encode_mask(mask)
            masks[names[annotation["image_id"]]].append(mask)
        file.write_text(json.dumps(content))
        return masks

    return label


def test_datumaro_reads_the_masks(labeled):
    pytest.importorskip("datumaro")
    expected = labeled("cvat/coco")
    names = {}
    for code in howto_code("cvat.md"):
        exec(code, names)
    assert names["masks"].keys() == expected.keys()
    for name, masks in expected.items():
        np.testing.assert_array_equal(names["masks"][name], masks)


def test_datumaro_reads_polygons_as_they_are_filled_here(labeled):
    datumaro = pytest.importorskip("datumaro")
    expected = labeled("cvat/coco")
    shutil.copytree("export/images/default", "labels/coco/default")
    conversion = convert(Path("labels/coco"), Path("polygons"), "coco", polygons=True)
    assert conversion.reports["default"].min_iou < 1  # their holes
    Path("polygons/images").mkdir()
    for item in datumaro.Dataset.import_from("polygons", "coco_instances"):
        outlines: dict[int, list[list[float]]] = {}
        for each in item.annotations:
            if each.type.name == "polygon":
                outlines.setdefault(each.id, []).append([float(number) for number in each.points])
        for number, mask in zip(sorted(outlines), expected[item.id], strict=True):
            np.testing.assert_array_equal(
                decode_mask(outlines[number], *mask.shape), decode_mask(polygons_of(mask), *mask.shape)
            )


def test_cvat_s_form_of_masks_is_without_loss():
    masks = pytest.importorskip("cvat_sdk.masks")
    for seed in range(5):
        mask = blob(seed)
        points = masks.encode_mask(mask)
        np.testing.assert_array_equal(masks.decode_mask(points, image_width=SIZE[0], image_height=SIZE[1]), mask)


def test_label_studio_gets_the_masks_as_predictions(labeled):
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    expected = labeled("label_studio/coco_with_images")
    addresses = [f"/data/upload/1/{name}.jpg" for name in expected]
    Path("project.json").write_text(json.dumps([{"data": {"image": address}} for address in addresses]))
    for code in howto_code("label-studio.md"):
        exec(code, {})
    tasks = json.loads(Path("masks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == addresses
    boxed = read_dataset("export")
    for task, record, masks in zip(tasks, boxed, expected.values(), strict=True):
        (prediction,) = task["predictions"]
        labels = [result["value"]["brushlabels"] for result in prediction["result"]]
        assert labels == [[boxed.classes[number - 1]] for number in record.class_ids]
        for result, mask in zip(prediction["result"], masks, strict=True):
            shape = (result["original_height"], result["original_width"], 4)
            decoded = brush.decode_rle(result["value"]["rle"]).reshape(shape)[:, :, 3] > 0
            np.testing.assert_array_equal(decoded, mask)


def test_supervision_reads_the_masks(labeled):
    sv = pytest.importorskip("supervision")
    expected = labeled("fiftyone/coco")
    (file,) = Path("labels/coco/annotations").glob("*.json")
    dataset = sv.DetectionDataset.from_coco("export/data", str(file), force_masks=True)
    read = {Path(path).stem: detections for path, _, detections in dataset}
    assert read.keys() == expected.keys()
    for name, masks in expected.items():
        np.testing.assert_array_equal(read[name].mask, masks)


def test_supervision_reads_the_outlines_of_yolo_in_order(labeled):
    sv = pytest.importorskip("supervision")
    expected = labeled("fiftyone/coco")
    shutil.copytree("export/data", "labels/coco/train")
    (file,) = Path("labels/coco/annotations").glob("*.json")
    file.rename(file.with_name("instances_train.json"))
    convert(Path("labels/coco"), Path("yolo"), "yolo")
    dataset = sv.DetectionDataset.from_yolo(
        "yolo/images/train", "yolo/labels/train", "yolo/data.yaml", force_masks=True
    )
    for path, _, detections in dataset:
        for read, mask in zip(detections.mask, expected[Path(path).stem], strict=True):
            assert not (mask & ~read).any()  # OpenCV fills a polygon with its rim, and holes are lost
            assert mask_iou(read, mask) > 0.5


def test_supervision_takes_labels_as_detections():
    pytest.importorskip("supervision")
    dataset = read_dataset(EXPORTS / "fiftyone/coco")
    names = {"image": open_image(dataset[0].path), "boxes": dataset[0].boxes, "class_ids": dataset[0].class_ids}
    (code,) = howto_code("supervision.md")
    exec(code, names)
    masks = [instance.mask for instance in names["labels"].instances]
    np.testing.assert_array_equal(names["detections"].mask, masks)
    changed = (names["annotated"] != names["image"][:, :, ::-1]).any(-1)
    np.testing.assert_array_equal(changed & ~np.any(masks, axis=0), False)
    assert changed.any()


@pytest.mark.skipif("FIFTYONE_DATABASE_URI" not in os.environ, reason="FIFTYONE_DATABASE_URI names no MongoDB")
def test_fiftyone_reads_the_masks_and_writes_them(labeled):
    fo = pytest.importorskip("fiftyone")
    expected = labeled("fiftyone/coco")
    dataset = fo.Dataset.from_dir(
        name="my-data",
        overwrite=True,
        dataset_dir=str(EXPORTS / "fiftyone/coco"),
        dataset_type=fo.types.COCODetectionDataset,
        label_field="ground_truth",
        label_types="detections",
    )
    export, masks_in = howto_code("fiftyone.md")
    shutil.rmtree("export")
    names = {"fo": fo, "dataset": dataset}
    exec(export, names)
    assert [len(record) for record in read_dataset("export")] == [len(masks) for masks in expected.values()]
    exec(masks_in, names)
    for sample in names["masked"]:
        height, width = sample["classes"].get_mask().shape
        name = Path(sample.filepath).stem
        for detection, mask in zip(sample["bana"].detections, expected[name], strict=True):
            left, top = round(detection.bounding_box[0] * width), round(detection.bounding_box[1] * height)
            placed = np.zeros((height, width), dtype=bool)
            part = detection.mask
            assert detection.confidence == 1  # of the source box
            placed[top : top + part.shape[0], left : left + part.shape[1]] = part
            np.testing.assert_array_equal(placed, mask)
        label_map = read_label_map(Path(f"labels/y_crf/{name}.png"), width, height)
        np.testing.assert_array_equal(sample["classes"].get_mask(), label_map)
    classes = ["cross", "disk", "square"]
    kind = fo.types.COCODetectionDataset
    names["masked"].export(export_dir="back", dataset_type=kind, label_field="bana", classes=classes)
    for record in read_dataset("back"):
        ious = [mask_iou(*pair) for pair in zip(instance_truth(record), expected[record.image_id], strict=True)]
        assert 0.5 < min(ious) < 1
