"""A folder in which all names that the documentation's commands read stand for something tiny."""

import shutil
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from shapes_data import write_true_masks
from video_samples import write_moving

QUIET = Console(quiet=True)


@pytest.fixture(scope="session")
def tiny_preset(tiny_settings, tiny_segment_settings):
    """All settings of a recipe of one epoch."""
    return {
        "classify": tiny_settings.model_dump(mode="json") | {"epochs": 1},
        "label": {"image_side": 129},
        "refine": {"crop_size": 65, "epochs": 1, "min_side": 8, "batch_size": 4},
        "segment": tiny_segment_settings.model_dump(mode="json") | {"epochs": 1},
        "predict": {"scales": [1.0], "flip": False},
        "instance": {
            "backbone": "lite0", "train_backbone": "none", "width": 16, "box_samples": 16, "crop_size": 97, "epochs": 1,
            "batch_size": 4,
        },
    }  # fmt: skip


@pytest.fixture(scope="session")
def world(shapes_voc, tiny_run, tiny_segment_run, tiny_preset, tmp_path_factory) -> Path:
    """The folder; no test changes what is in it."""
    root = tmp_path_factory.mktemp("documented")
    (root / "tiny.yaml").write_text(yaml.safe_dump(tiny_preset))
    _write_data(root, shapes_voc)
    shutil.copytree(tiny_segment_run, root / "network")
    shutil.copytree(tiny_run, root / "boxes")
    _write_run(root)
    _write_labels(root)
    _write_network_of_objects(root, tiny_preset["instance"])
    return root


def _write_data(root: Path, shapes_voc: Path) -> None:
    """The tiny data set in every format, with masks that score, and some photographs."""
    from bana.data.convert import convert

    data = write_true_masks(shutil.copytree(shapes_voc, root / "DATA"))
    lists = data / "ImageSets/Main"
    for split in ("val", "train_aug", "all", "learn", "train2017", "val2017"):
        shutil.copy(lists / "train.txt", lists / f"{split}.txt")
    convert(data, root / "COCO", "coco", splits=("train2017", "val2017"))
    convert(data, root / "nuclei", "coco", splits=("train", "val"))
    shutil.copytree(root / "nuclei/val", root / "nuclei/images/val")
    convert(data, root / "export", "coco", splits=("train",))
    convert(data, root / "corrected", "coco", splits=("train",))
    convert(data, root / "YOLO", "yolo", splits=("train", "val"))
    convert(data, root / "parts", "labelme", splits=("train",))
    write_moving(root / "street")
    photographs = root / "photographs"
    photographs.mkdir()
    shutil.copy(data / "JPEGImages/a.jpg", photographs)


def _write_run(root: Path) -> None:
    """A run of all stages."""
    from bana.data.reading import read_dataset
    from bana.pipeline.recipe import Recipe
    from bana.pipeline.run import run_pipeline
    from bana.presets import load_preset

    recipe = load_preset(str(root / "tiny.yaml"), Recipe)
    run_pipeline(read_dataset(root / "DATA", "train"), None, recipe, root / "run", workers=1, console=QUIET)


def _write_labels(root: Path) -> None:
    """Labels, the same in two shards, and predictions."""
    from bana.data.inputs import find_inputs
    from bana.data.reading import read_dataset
    from bana.engine.prediction import predict_pictures
    from bana.io.shards import Shard
    from bana.label.methods.choose import MethodChoice
    from bana.label.run import label_dataset
    from bana.segment.predict import Outputs, Segmenting
    from bana.segment.segmenter import PredictSettings

    dataset, method = read_dataset(root / "DATA", "train2017"), MethodChoice.of_labeler(root / "boxes")
    label_dataset(dataset, method, root / "labels", formats=["coco"], workers=1, console=QUIET)
    for shard in (Shard(1, 2), Shard(2, 2)):
        label_dataset(dataset.shard(shard), method, root / "shards" / shard.folder, workers=1, console=QUIET)
    settings = PredictSettings(scales=(1.0,), flip=False)
    job = Segmenting(root / "network/segmenter.safetensors", settings, Outputs(None, False), "cpu")
    pictures = find_inputs([str(root / "DATA/JPEGImages")], root / "masks")
    predict_pictures(job, pictures, root / "masks", workers=1, on_error="stop", console=QUIET)


def _write_network_of_objects(root: Path, settings: dict) -> None:
    """A Mask R-CNN that has seen next to nothing, and results that it could have had: the true masks."""
    from bana.data.masks import encode_mask
    from bana.data.reading import read_dataset
    from bana.data.truth import instance_truth
    from bana.instance.settings import InstanceSettings
    from bana.instance.task import InstanceTask
    from bana.io.files import write_json
    from bana.nn.train import train

    dataset = read_dataset(root / "DATA", "train")
    train(InstanceTask(InstanceSettings(**settings), labels=root / "labels"), dataset, root / "detector")
    results = [
        {"image_id": record.image_id, "category_id": int(label), "segmentation": encode_mask(mask), "score": 0.5}
        for record in dataset
        for label, mask in zip(record.class_ids, instance_truth(record), strict=True)
    ]
    (root / "found").mkdir()
    for file in (root / "results.json", root / "found/results.json"):
        write_json(file, results)
