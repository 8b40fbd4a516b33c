"""Training an affinity network (AffinityNet): reliable labels, the network, and the labeler that has it."""

from __future__ import annotations

from pathlib import Path

from bana.affinity.settings import AffinitySettings
from bana.affinity.task import AffinityTask
from bana.data.records import BoxDataset
from bana.engine.options import RunOptions
from bana.label.join import join_affinity
from bana.label.methods.choose import RELIABLE, MethodChoice
from bana.label.run import label_dataset
from bana.nn.train import train


def train_affinity(
    settings: AffinitySettings, dataset: BoxDataset, labeler: Path, out: Path, run: RunOptions, workers: int
) -> Path:
    """Label the images by an image-level labeler, learn from what is reliable there, and join the network to it.

    Args:
        settings: How the network is built and trained.
        dataset: The images.
        labeler: An image-level labeler's file or run folder.
        out: The folder of the run; the labels go to its folder ``labels``.
        run: Seed, device, progress, and what is done about images that cannot be used.
        workers: Number of processes that label.

    Returns:
        The labeler file, which has the affinity network.
    """
    labels, method = out / "labels", MethodChoice(RELIABLE, {"": labeler})
    label_dataset(dataset, method, labels, workers=workers, on_error=run.on_error, console=run.console)
    return join_affinity(train(AffinityTask(settings, labels), dataset, out, run), labeler, out)
