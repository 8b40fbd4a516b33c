"""A backbone with what a stage puts on it: which of its tensors are trained, and which are frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bana.errors import SettingsError
from bana.nn.backbones import Backbone, create_backbone
from bana.nn.heads import CalibratedHead
from bana.nn.settings import TrainingSettings
from bana.nn.weights import load_weights


class Network(nn.Module):
    """Base of all stages' networks.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        head: Fuses the backbone's maps into one map of features. Without it, features are the backbone's last map.

    Attributes:
        backbone: The backbone.
        head: The head.
        class_weights: (L + 1, C), the background's first; only networks with one weight vector a class have it.
    """

    class_weights: Tensor

    def __init__(self, backbone: Backbone, head: nn.Module | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """Features (N, C, h, w) of images (N, 3, H, W) of RGB in 0..255."""
        return self.fuse(self.feature_maps(images))

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """The backbone's maps of images (N, 3, H, W) of RGB in 0..255, finest first."""
        maps: list[Tensor] = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return maps

    def fuse(self, feature_maps: list[Tensor]) -> Tensor:
        """Features (N, C, h, w) from the backbone's maps."""
        features: Tensor = self.head(feature_maps) if self.head is not None else feature_maps[-1]
        return features.contiguous()

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Set a head's normalization to the statistics of the backbone's features of a batch of images."""
        if isinstance(self.head, CalibratedHead):
            for maps, norm in zip(self.backbone(images), self.head.normalise, strict=True):
                norm.get_buffer("running_mean").copy_(maps.mean((0, 2, 3)))
                norm.get_buffer("running_var").copy_(maps.var((0, 2, 3)))

    def trained_state(self) -> dict[str, Tensor]:
        """All tensors but the frozen ones: those that a file must hold."""
        frozen = self.frozen_state()
        return {name: value for name, value in self.state_dict().items() if name not in frozen}

    def frozen_state(self) -> dict[str, Tensor]:
        """The backbone's pretrained tensors that training leaves alone; none if all of it is trained."""
        if all(parameter.requires_grad for parameter in self.backbone.parameters()):
            return {}
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        state = self.state_dict()
        return {name: state[name] for name in state if name.startswith("backbone.") and name not in trained}

    def load_trained_state(self, state: dict[str, Tensor], source: str) -> None:
        """Put back what trained_state gave. Raises CheckpointError if names or shapes differ, naming ``source``."""
        load_weights(
            self, {**self.state_dict(), **state} if state.keys() == self.trained_state().keys() else state, source
        )

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on or off; batch normalization keeps its statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def on_device(network: AnyNetwork, device: str) -> AnyNetwork:
    """The network on a device (``cpu``, ``cuda``, ``cuda:1``, ...). Raises SettingsError if it cannot be had."""
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"device {device!r} cannot be used ({str(error).splitlines()[0]}); choose cpu") from error


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers from this seed within the block; the caller's generator stays as it is.

    Within the block the caller's inference mode is off, so that a network built in it can be trained.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        torch.manual_seed(seed)
        yield


def build_backbone(settings: TrainingSettings, weights: str | None = None) -> Backbone:
    """The backbone that the settings name, with gradients for the layers that they train.

    Args:
        settings: Backbone, its weights, and the crop.
        weights: Backbone weights to use instead of those that the settings name.

    Raises:
        SettingsError: If the backbone or its weights cannot be had, or the crop does not fit it.
    """
    backbone = create_backbone(settings.backbone, weights or settings.backbone_weights, settings.pyramid)
    backbone.check_crop(settings.crop_size, settings.backbone)
    backbone.train_only(settings.train_backbone)
    return backbone


def network_input(image: npt.NDArray[np.uint8], side: int | None, multiple: int) -> Tensor:
    """Scale an image to sides that are a multiple of the stride, plus 1, so that features line up with its corners.

    Args:
        image: RGB uint8 (H, W, 3).
        side: Target length of the longer side, in pixels, rounded to an allowed size (None: as it is).
        multiple: Of which the sides less 1 are multiples.

    Returns:
        float32 (1, 3, h, w) of RGB in 0..255, resampled with corners on corners.
    """
    height, width = image.shape[:2]
    factor = 1.0 if side is None else side / max(height, width)
    size = [max(round((length * factor - 1) / multiple), 1) * multiple + 1 for length in (height, width)]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, size, mode="bicubic", align_corners=True).clamp(0.0, 255.0)
