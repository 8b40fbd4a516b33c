"""Heads: from a backbone's feature maps to one map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CalibratedHead(nn.Module):
    """Base of heads that first normalize a backbone's maps by statistics, which ``Network.calibrate`` sets.

    Args:
        channels: Channels of each feature map, finest first.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.normalise = nn.ModuleList(
            nn.BatchNorm2d(count, affine=False) for count in channels
        )  # the spelling in saved files


class FusingHead(CalibratedHead):
    """Fuses several feature maps to one map on the finest grid, cell by cell.

    It stands where VGG has fc6 and fc7: what background attention and CAMs see is learned here. Every layer is a 1x1
    convolution, so the map can be computed on any grid.

    Args:
        channels: Channels of each feature map, finest first.
        width: Channels of the result.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__(channels)
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
        for maps, normalize, project in zip(features, self.normalise, self.project, strict=True):
            projected = project(normalize(maps))
            if projected.shape[-2:] != size:
                projected = F.interpolate(projected, size, mode="bilinear", align_corners=True)
            fused = fused + projected
        mixed: Tensor = self.mix(fused.relu()).relu()
        return mixed


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling of DeepLab-V2: 3x3 convolutions of several dilations on one map, summed.

    DeepLab-V2 sums the scores of one classifier per branch. A classifier by cosines needs one feature, so the branches
    are summed before it, and the sum, without a ReLU, is the feature.

    Args:
        channels: Channels of each feature map; only the last map is used.
        width: Channels of the result.
        rates: Dilation of each branch.
    """

    def __init__(self, channels: tuple[int, ...], width: int, rates: tuple[int, ...] = (6, 12, 18, 24)) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels[-1], width, 3, padding=rate, dilation=rate) for rate in rates]
        for layer in layers:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.branches = nn.ModuleList(layers)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features (N, C_i, h_i, w_i), of which the last is used, to (N, width, h, w)."""
        maps = features[-1]
        total: Tensor = self.branches[0](maps)
        for branch in self.branches[1:]:
            total = total + branch(maps)
        return total
