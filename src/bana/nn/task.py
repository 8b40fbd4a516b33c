"""What a stage gives ``train``. To add a stage, write a subclass of ``Task``."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor, nn, optim

from bana.data.label_folder import LabelFolder, labels_of
from bana.data.records import BoxDataset, ImageRecord
from bana.engine.distributed import SINGLE_PROCESS, DistContext
from bana.engine.loop import Validated
from bana.engine.plan import Samples
from bana.nn.initialization import start_from_labeler
from bana.nn.network import AnyNetwork
from bana.nn.network_file import NetworkFile, NetworkSettings
from bana.nn.settings import TrainingSettings


class Task(ABC, Generic[AnyNetwork, NetworkSettings]):
    """What a stage learns from, its network, and the loss of a batch; an object is used for one run.

    Args:
        settings: How the network is built and trained.
        labels: A folder that ``bana label`` wrote, if any.
        labeler: A labeler file or run to start from, where the settings ask for one (default: bana's own).

    Attributes:
        network_file: How the stage's networks are built, saved and loaded.
        needs: What an image must have to be of use, for messages: ``boxes``.
        label_settings: Settings of labeling to keep in the file, as plain values.
        data: The data set, from ``open`` on.
        label_folder: The opened ``labels``, from ``open`` on.
        records: The usable images, set after ``is_usable`` has been asked for each.
        seed: Random seed of the run, set with ``records``.
        model: The network, from ``begin`` on, as the following ones.
        optimizer: What trains it.
        context: The processes that train together.
        out: The run's folder.
    """

    network_file: ClassVar[NetworkFile[Any, Any]]
    needs: ClassVar[str]

    data: BoxDataset
    label_folder: LabelFolder | None
    records: Sequence[ImageRecord]
    seed: int
    model: AnyNetwork
    optimizer: optim.Optimizer
    context: DistContext
    out: Path

    def __init__(self, settings: NetworkSettings, labels: Path | None = None, labeler: Path | None = None) -> None:
        self.settings = settings
        self.labels = labels
        self.labeler = labeler
        self.label_settings: dict[str, Any] = {}

    def open(self, data: BoxDataset) -> None:
        """Open what the images are learned from. Raises DataError if it does not fit the data set."""
        self.data = data
        self.label_folder = labels_of(data, self.labels)

    @abstractmethod
    def is_usable(self, record: ImageRecord) -> bool:
        """Whether an image is of use. Raises DataError if it should be, but something is missing or damaged."""

    def identity(self) -> dict[str, Any]:
        """What the result depends on besides settings, images, labels, labeler and seed, as plain values."""
        return {}

    @abstractmethod
    def samples(self) -> Samples:
        """The training samples of the usable images."""

    @staticmethod
    @abstractmethod
    def collate(samples: Sequence[Any]) -> Any:
        """A batch of several samples."""

    def start_from_labeler(self, model: AnyNetwork) -> None:
        """Give a new network the layers of the labeler. Raises as ``nn.initialization.start_from_labeler`` does."""
        start_from_labeler(model, self.data.classes, self.settings, self.labeler)

    def begin(self, model: AnyNetwork, context: DistContext = SINGLE_PROCESS, out: Path = Path()) -> None:
        """Get ready for the first step."""
        self.model, self.context, self.out = model, context, out
        self.optimizer = build_optimizer(model, self.settings)

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and metrics for the log: this process's share of both (see the engine's protocol)."""

    def total(self, number: Tensor | int) -> float:
        """A number, summed over all processes; no gradients flow through it."""
        return float(self.context.all_reduce(torch.as_tensor(number, device=self.context.device).detach()))

    def lr_factor(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` (0..1) of the run."""
        return self.settings.lr_factor(progress)

    def after_epoch(self, epoch: int) -> Validated:
        """What is measured after so many epochs, from 0 on."""
        return Validated({})


def build_optimizer(model: nn.Module, settings: TrainingSettings) -> optim.Optimizer:
    """Four groups: weights and biases, each of the backbone and of the other layers.

    Biases have twice the learning rate and no weight decay.

    Args:
        model: Its pretrained layers are those under ``backbone``.
        settings: Learning rates, weight decay and the kind of optimizer.
    """
    groups: list[dict[str, Any]] = []
    for in_backbone, rate in ((True, settings.lr_backbone), (False, settings.lr_head)):
        for is_bias in (False, True):
            parameters = [
                parameter
                for name, parameter in model.named_parameters()
                if parameter.requires_grad
                and name.startswith("backbone.") == in_backbone
                and name.endswith(".bias") == is_bias
            ]
            if parameters:
                groups.append(
                    {
                        "params": parameters,
                        "lr": rate * (2 if is_bias else 1),
                        "weight_decay": 0.0 if is_bias else settings.weight_decay,
                    }
                )
    if settings.optimizer == "adamw":
        return optim.AdamW(groups)
    return optim.SGD(groups, momentum=0.9)


def lines_digest(lines: Iterable[str]) -> str:
    """A hex digest of lines of text."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
