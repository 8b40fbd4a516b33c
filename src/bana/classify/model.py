"""The box classifier: a backbone, a head that fuses its depths, and one weight vector a class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bana.nn.backbones import Backbone
from bana.nn.weights import load_weights


class FusingHead(nn.Module):
    """Maps features of several depths to one map on the finest grid, cell by cell.

    It stands where VGG has fc6 and fc7: what background attention and CAMs see is learnt here. Every layer is a 1x1
    convolution, so the map can be computed on any grid.

    Args:
        channels: Channels of each depth, finest first.
        width: Channels of the result.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.normalise = nn.ModuleList(nn.BatchNorm2d(count, affine=False) for count in channels)
        self.project = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.mix = nn.Conv2d(width, width, 1)
        for layer in [*self.project, self.mix]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            for layer in self.project:
                layer.weight /= len(channels) ** 0.5

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features (N, C_i, h_i, w_i), finest first, to (N, width, h_0, w_0), not negative."""
        size = features[0].shape[-2:]
        fused = torch.zeros((), device=features[0].device)
        for maps, normalise, project in zip(features, self.normalise, self.project, strict=True):
            projected = project(normalise(maps))
            if projected.shape[-2:] != size:
                projected = F.interpolate(projected, size, mode="bilinear", align_corners=True)
            fused = fused + projected
        mixed: Tensor = self.mix(fused.relu()).relu()
        return mixed


class BoxClassifier(nn.Module):
    """Images to features f (Fig. 2), and features to scores of the background and L classes.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        classes: L.
        width: Channels of a FusingHead on the backbone's depths, or None: f is the backbone's last map itself.
    """

    def __init__(self, backbone: Backbone, classes: int, width: int | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = FusingHead(backbone.info.channels, width) if width else None
        self.classifier = nn.Linear(width or backbone.info.channels[-1], classes + 1, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.train()

    @property
    def class_weights(self) -> Tensor:
        """w: (L + 1, C), the background's first."""
        return self.classifier.weight

    def forward(self, images: Tensor) -> Tensor:
        """Features f (N, C, h, w) of images (N, 3, H, W) of RGB in 0..255."""
        depths = self.backbone(images.contiguous(memory_format=torch.channels_last))
        features: Tensor = self.head(depths) if self.head is not None else depths[-1]
        return features.contiguous()

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Set the head's normalisation to the statistics of the backbone's features of a batch of images."""
        if self.head is not None:
            for maps, normalise in zip(self.backbone(images), self.head.normalise, strict=True):
                normalise.get_buffer("running_mean").copy_(maps.mean((0, 2, 3)))
                normalise.get_buffer("running_var").copy_(maps.var((0, 2, 3)))

    def own_state(self) -> dict[str, Tensor]:
        """The tensors that make this classifier; what is not trained of the backbone is not among them."""
        given = self.given_state()
        return {name: value for name, value in self.state_dict().items() if name not in given}

    def given_state(self) -> dict[str, Tensor]:
        """The backbone's tensors that its weights give and training leaves alone; none if all of it is trained."""
        if all(parameter.requires_grad for parameter in self.backbone.parameters()):
            return {}
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        state = self.state_dict()
        return {name: state[name] for name in state if name.startswith("backbone.") and name not in trained}

    def load_own_state(self, state: dict[str, Tensor], source: str) -> None:
        """Put back what own_state gave. Raises LabelerError if names or shapes differ, naming ``source``."""
        load_weights(self, {**self.state_dict(), **state} if state.keys() == self.own_state().keys() else state, source)

    def train(self, mode: bool = True) -> BoxClassifier:
        """Switch dropout on or off; batch normalisation keeps its statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self
