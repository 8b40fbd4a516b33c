"""VGG-16 as DeepLab's LargeFOV "20M" network: stride 8, conv5 dilated, fc6 and fc7 as convolutions of 1024 channels."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from bana.errors import CheckpointError

_CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
_CONVOLUTIONS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
_POOL_STRIDE = {1: 2, 2: 2, 3: 2, 4: 1, 5: 1}

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of RGB in 0..255, as torchvision's networks were trained."""

CAFFE_MEAN_BGR = (104.008, 116.669, 122.675)
"""What the Caffe networks subtract from BGR in 0..255; they divide by nothing."""


class LargeFOV(nn.Module):
    """Convolutional layers conv1_1 to fc7 under Caffe's names; 3x3 pools, fc6 with dilation 12.

    Input: images normalized with ImageNet's mean and standard deviation, RGB (N, 3, H, W).
    Output: a list of one feature map (N, 1024, h, w) at stride 8, not negative. DeepLab's dropout after fc7 is the
    classifier's (BackboneInfo): what compares features must see them whole.
    """

    def __init__(self) -> None:
        super().__init__()
        previous = 3
        for block, channels in _CHANNELS.items():
            dilation = 2 if block == 5 else 1
            for index in range(1, _CONVOLUTIONS[block] + 1):
                layer = nn.Conv2d(previous, channels, 3, padding=dilation, dilation=dilation)
                self.add_module(f"conv{block}_{index}", layer)
                previous = channels
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=12, dilation=12)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.smooth = nn.AvgPool2d(3, stride=1, padding=1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of normalized images."""
        x = images
        for block, stride in _POOL_STRIDE.items():
            for index in range(1, _CONVOLUTIONS[block] + 1):
                x = self.get_submodule(f"conv{block}_{index}")(x).relu()
            x = nn.functional.max_pool2d(x, 3, stride=stride, padding=1)
        x = self.dropout(self.fc6(self.smooth(x)).relu())
        return [self.fc7(x).relu()]


def largefov_weights(state: dict[str, Tensor], source: str | Path) -> dict[str, Tensor]:
    """Weights for LargeFOV from a state dict of torchvision's VGG-16 or of a Caffe-style 20M network.

    torchvision: conv1 to conv5 as they are; fc6 (4096, 512*7*7) keeps every third row and column of its 7x7 kernel and
    every fourth output, fc7 every fourth input and output, as DeepLab did. Caffe: the first layer is turned from BGR
    without a standard deviation to RGB with one. Classifier layers (fc8) are left out.

    Raises:
        CheckpointError: If the tensors are of neither network.
    """
    try:
        if "features.0.weight" in state:
            return _from_torchvision(state)
        return _from_caffe(state)
    except (KeyError, RuntimeError, IndexError, ValueError) as error:
        raise CheckpointError(
            f"{source}: neither torchvision's VGG-16 nor a 20M LargeFOV network ({error}); choose another weights file"
        ) from error


def _layer_names() -> list[str]:
    return [f"conv{block}_{i}" for block in _CHANNELS for i in range(1, _CONVOLUTIONS[block] + 1)]


def _from_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    numbers = sorted({int(name.split(".")[1]) for name in state if name.startswith("features.")})
    weights = {
        f"{layer}.{kind}": state[f"features.{number}.{kind}"]
        for layer, number in zip(_layer_names(), numbers, strict=True)
        for kind in ("weight", "bias")
    }
    fc6 = state["classifier.0.weight"].view(4096, 512, 7, 7)
    weights["fc6.weight"] = fc6[::4, :, ::3, ::3].clone()
    weights["fc6.bias"] = state["classifier.0.bias"][::4].clone()
    weights["fc7.weight"] = state["classifier.3.weight"][::4, ::4, None, None].clone()
    weights["fc7.bias"] = state["classifier.3.bias"][::4].clone()
    return weights


def _from_caffe(state: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = {
        f"{layer}.{kind}": state[f"{layer}.{kind}"]
        for layer in [*_layer_names(), "fc6", "fc7"]
        for kind in ("weight", "bias")
    }
    first = weights["conv1_1.weight"].flip(1)
    shift = torch.tensor(IMAGENET_MEAN) - torch.tensor(CAFFE_MEAN_BGR).flip(0)
    weights["conv1_1.bias"] = weights["conv1_1.bias"] + (first * shift.view(1, 3, 1, 1)).sum((1, 2, 3))
    weights["conv1_1.weight"] = first * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return weights
