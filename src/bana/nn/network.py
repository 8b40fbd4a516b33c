"""A backbone with what a stage puts on it: which tensors are its own, and how it is trained."""

from __future__ import annotations

from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from bana.errors import SettingsError
from bana.nn.backbones import Backbone
from bana.nn.heads import FusingHead
from bana.nn.weights import load_weights


class Network(nn.Module):
    """Base of the networks of stages 1 and 3.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        head: From the backbone's depths to one map of features; None: features are the backbone's last map.

    Attributes:
        backbone: As given.
        head: As given.
        class_weights: (L + 1, C), the background's first; a subclass has it.
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
        """Set a fusing head's normalization to the statistics of the backbone's features of a batch of images."""
        if isinstance(self.head, FusingHead):
            for maps, norm in zip(self.backbone(images), self.head.normalise, strict=True):
                norm.get_buffer("running_mean").copy_(maps.mean((0, 2, 3)))
                norm.get_buffer("running_var").copy_(maps.var((0, 2, 3)))

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors that make this network; what is not trained of the backbone is not among them."""
        given = self.frozen_state()
        return {name: value for name, value in self.state_dict().items() if name not in given}

    def frozen_state(self) -> dict[str, Tensor]:
        """The backbone's tensors that its weights give and training leaves alone; none if all of it is trained."""
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
