"""Commands that train a network: classify, refine, affinity, segment."""

from __future__ import annotations

import bana
from bana.cli import options as o
from bana.cli.common import arguments, show_training


def classify(
    data: o.Data,
    out: o.RunFolder,
    split: o.Split = None,
    preset: o.Preset = "lite0",
    settings: o.Set = None,
    pooling: o.Pooling = None,
    epochs: o.Epochs = None,
    labels: o.AgreedLabels = None,
    labeler: o.StartLabeler = None,
    format: o.Format = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = None,
    accumulate: o.Accumulate = 1,
    checkpoint_seconds: o.CheckpointSeconds = 10.0,
    workers: o.LoadWorkers = 0,
    on_error: o.OnError = "stop",
    follow_links: o.FollowLinks = False,
) -> None:
    """Train a box classifier (stage 1). Its folder then serves as --labeler."""
    show_training(bana.classify(**arguments(locals())))


def refine(
    data: o.Data,
    labels: o.RefineLabels,
    out: o.RunFolder,
    split: o.Split = None,
    preset: o.Preset = "lite0",
    settings: o.Set = None,
    epochs: o.Epochs = None,
    labeler: o.RefineLabeler = None,
    format: o.Format = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = None,
    accumulate: o.Accumulate = 1,
    checkpoint_seconds: o.CheckpointSeconds = 10.0,
    workers: o.LoadWorkers = 0,
    on_error: o.OnError = "stop",
    follow_links: o.FollowLinks = False,
) -> None:
    """Train a refiner on labels (stage 2b). Its folder then serves as --labeler and gives each box a better mask."""
    show_training(bana.refine(**arguments(locals())))


def affinity(
    data: o.Data,
    labeler: o.ImageLabeler,
    out: o.RunFolder,
    split: o.Split = None,
    preset: o.Preset = "lite0",
    settings: o.Set = None,
    epochs: o.Epochs = None,
    format: o.Format = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = None,
    accumulate: o.Accumulate = 1,
    checkpoint_seconds: o.CheckpointSeconds = 10.0,
    workers: o.LoadWorkers = 0,
    on_error: o.OnError = "stop",
    follow_links: o.FollowLinks = False,
) -> None:
    """Train the affinity network of AffinityNet. Its folder then serves as --labeler of --method affinity."""
    show_training(bana.affinity(**arguments(locals())))


def segment(
    data: o.Data,
    out: o.RunFolder,
    labels: o.Labels = None,
    split: o.Split = None,
    task: o.Task = "semantic",
    preset: o.Preset = "lite0",
    settings: o.Set = None,
    loss: o.Loss = None,
    epochs: o.Epochs = None,
    masks: o.Masks = None,
    labeler: o.StartLabeler = None,
    val_split: o.ValSplit = None,
    pictures: o.Pictures = 4,
    format: o.Format = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = None,
    accumulate: o.Accumulate = 1,
    checkpoint_seconds: o.CheckpointSeconds = 10.0,
    workers: o.LoadWorkers = 0,
    tensorboard: o.Tensorboard = False,
    on_error: o.OnError = "stop",
    follow_links: o.FollowLinks = False,
) -> None:
    """Train a segmentation network on labels (stage 3). It then needs no boxes: bana predict."""
    show_training(bana.segment(**arguments(locals())), out / "sigma.png")
