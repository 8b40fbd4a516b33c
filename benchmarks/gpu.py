"""What a machine makes of the paper's recipes: images a second of each training and of labeling, and hours a table.

    python benchmarks/gpu.py                      # on CUDA: ten minutes
    python benchmarks/gpu.py --device cpu --steps 1 --images 8 --precisions float32

Trainings take full batches of full crops through networks with random weights, in float32 and bfloat16, from random
pixels: no time goes into loading images, so they are the most that a machine can do. Labeling is the whole of
``bana label`` on the sample photographs by the shipped labeler, with one process and with one per core. The last line
of output is one JSON object: the figures, and the hours of tables 1, 3 and 5 on VOC 2012 at these rates.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bana.api.defaults import cores
from bana.classify.samples import UNKNOWN
from bana.classify.samples import Batch as BoxBatch
from bana.classify.task import ClassifyTask
from bana.data.sample import sample_dataset
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.nn.initialization import pretrained_path
from bana.nn.network import on_device
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset
from bana.segment.losses import noise_aware_loss
from bana.segment.model import upsampled
from bana.segment.task import SegmentTask

CLASSES = 20
TRAIN_AUG, SCORED = 10_582, 1_464 + 1_449
"""Images of VOC 2012: train_aug; train and val, whose labels Table 1 scores."""

STAGES = {
    "classify vgg16": ("vgg16", "classify"),
    "DeepLab-V1": ("vgg16", "segment"),
    "DeepLab-V2": ("resnet101", "segment"),
}


def box_batch(size: int, side: int, device: str) -> BoxBatch:
    """Random crops with two boxes each."""
    boxes = torch.tensor([[n, 40.0 + 60 * k, 60, 140.0 + 60 * k, 220] for n in range(size) for k in range(2)])
    background = torch.ones(size, 1, side, side)
    background[:, :, 60:220, 40:200] = 0
    numbers = torch.arange(size)
    return BoxBatch(
        images=(torch.rand(size, 3, side, side) * 255).to(device),
        background=background.to(device),
        boxes=boxes.to(device),
        class_ids=torch.randint(1, CLASSES + 1, (2 * size,)).to(device),
        image_classes=torch.stack([numbers, numbers % CLASSES + 1], 1).to(device),
        labels=torch.full((size, side, side), UNKNOWN).to(device),
    )


def step_of(stage: str, settings: Any, device: str) -> Any:
    """A function that takes one training step of a stage at full batch and crop."""
    kind = SegmentTask if stage == "segment" else ClassifyTask
    task = kind(settings)
    model = on_device(kind.network_file.build(settings, CLASSES, 0, "random"), device)
    task.begin(model)
    batch: Any = box_batch(settings.batch_size, settings.crop_size, device)
    y_crf = torch.randint(0, CLASSES + 1, batch.labels.shape, device=device)
    y_ret = torch.where(torch.rand(y_crf.shape, device=device) < 0.05, 0, y_crf)

    def step() -> None:
        task.optimizer.zero_grad(set_to_none=True)
        if stage == "segment":
            loss = noise_aware_loss(upsampled(model(batch.images), y_crf.shape[1:]), y_crf, y_ret)
        else:
            loss = task.loss(batch)[0]
        loss.backward()
        task.optimizer.step()

    return step


def images_per_second(stage: str, settings: Any, device: str, precision: str, steps: int) -> float:
    """Of a training, after a step to warm up."""
    kind = device.partition(":")[0]
    step = step_of(stage, settings, device)
    with torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
        step()
        synchronize(device)
        began = time.perf_counter()
        for _ in range(steps):
            step()
        synchronize(device)
    return settings.batch_size * steps / (time.perf_counter() - began)


def synchronize(device: str) -> None:
    """Wait for a GPU's work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def labeled_per_second(device: str, workers: int, images: int) -> float:
    """Images a second of a whole labeling of sample photographs."""
    sample = sample_dataset()
    dataset = type(sample)(sample.records[:images], sample.class_table, sample.root, sample.format)
    choice = MethodChoice(labelers={"": pretrained_path()}, device=device)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        label_dataset(dataset, choice, Path(folder), workers=workers, console=Console(quiet=True))
        return len(dataset) / (time.perf_counter() - began)


def hours(rates: dict[str, float], labeled: float) -> dict[str, float]:
    """Hours of the tables of VOC at these rates: Table 1's three classifiers and labels; networks of tables 3 to 5."""
    vgg, resnet = load_preset("vgg16", Recipe), load_preset("resnet101", Recipe)
    classifier = vgg.classify.epochs * TRAIN_AUG / rates["classify vgg16"]
    labels = TRAIN_AUG / labeled
    v1 = vgg.segment.epochs * TRAIN_AUG / rates["DeepLab-V1"]
    v2 = resnet.segment.epochs * TRAIN_AUG / rates["DeepLab-V2"]
    seconds = {
        "table1": 3 * classifier + 4 * SCORED / labeled,
        "table3, a row": v1,
        "table3, before the rows": classifier + labels,
        "table5, a row": v2,
    }
    return {name: round(value / 3600, 2) for name, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--images", type=int, default=52)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.manual_seed(0)
    trainings: dict[str, dict[str, float]] = {}
    for name, (preset, stage) in STAGES.items():
        settings = getattr(load_preset(preset, Recipe), stage)
        trainings[name] = {}
        for precision in options.precisions:
            rate = images_per_second(stage, settings, options.device, precision, options.steps)
            trainings[name][precision] = round(rate, 3)
            print(f"{name}, {precision}: {rate:.2f} images/s at batch {settings.batch_size}", flush=True)
    labeling = {}
    for workers in dict.fromkeys((1, cores())):
        labeling[workers] = round(labeled_per_second(options.device, workers, options.images), 3)
        print(f"bana label, {workers} processes: {labeling[workers]:.2f} images/s", flush=True)
    best = {name: max(rates.values()) for name, rates in trainings.items()}
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else f"{cores()} cores"
    figures = {"trainings": trainings, "labeling": labeling, "hours": hours(best, max(labeling.values()))}
    print(json.dumps({"device": device, "torch": torch.__version__} | figures))


if __name__ == "__main__":
    main()
