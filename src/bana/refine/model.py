"""The refiner's network: a backbone and a decoder that turn windows into one logit a cell."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bana.nn.backbones import Backbone
from bana.nn.heads import CalibratedHead
from bana.nn.network import Network
from bana.nn.network_file import NetworkFile
from bana.refine.settings import RefineSettings

WIDTHS = (32, 48, 64, 96, 96)
"""Channels of the decoder on the maps of strides 2, 4, 8, 16 and 32."""

_POSITION = 3
"""Channels that say where a cell lies in the box."""


class PyramidDecoder(CalibratedHead):
    """Fuses a backbone's maps from the coarsest to the finest, on which it gives one logit a cell.

    Each level is told where its cells lie in the box. A level is a 1x1 convolution of the map, added to the coarser
    level, and a residual 3x3 convolution.

    Args:
        channels: Channels of each feature map, finest first.
        context: Sides of the window, in sides of the box.
    """

    def __init__(self, channels: tuple[int, ...], context: float) -> None:
        super().__init__(channels)
        self._context = context
        widths = WIDTHS[-len(channels) :]
        self.lateral = nn.ModuleList(
            nn.Conv2d(count + _POSITION, width, 1) for count, width in zip(channels, widths, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.mix = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths)
        self.output = nn.Conv2d(widths[0], 1, 1)
        for layer in [*self.lateral, *self.down, *self.mix]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            for layer in [*self.lateral, *self.down]:
                layer.weight /= 2
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features (N, C_i, h_i, w_i), finest first, to logits (N, 1, h_0, w_0)."""
        level = self._lateral(len(features) - 1, features)
        for number in range(len(features) - 2, -1, -1):
            lateral = self._lateral(number, features)
            coarser = self.down[number](self._mixed(number + 1, level))
            level = lateral + F.interpolate(coarser, lateral.shape[-2:], mode="bilinear", align_corners=True)
        logits: Tensor = self.output(self._mixed(0, level))
        return logits

    def _lateral(self, number: int, features: list[Tensor]) -> Tensor:
        maps = self.normalise[number](features[number])
        position = position_maps(maps.shape[2], maps.shape[3], self._context).to(maps)
        lateral: Tensor = self.lateral[number](torch.cat([maps, position.expand(len(maps), -1, -1, -1)], 1))
        return lateral

    def _mixed(self, number: int, level: Tensor) -> Tensor:
        mixed: Tensor = (level + self.mix[number](level.relu())).relu()
        return mixed


class BoxRefiner(Network):
    """Windows to logits of "this pixel is the box's object"; it knows no classes.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        context: Sides of the window, in sides of the box.
    """

    def __init__(self, backbone: Backbone, context: float) -> None:
        super().__init__(backbone, PyramidDecoder(backbone.info.channels, context))
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.train()

    def forward(self, windows: Tensor) -> Tensor:
        """Logits (N, h, w) on the backbone's finest grid, of windows (N, 3, S, S) of RGB in 0..255."""
        return self.features(windows)[:, 0]


def position_maps(height: int, width: int, context: float) -> Tensor:
    """Where the cells of a window's map lie in the box, in half sides of the box: float32 (1, 3, height, width).

    The channels are the distance from the nearer vertical side, from the nearer horizontal one (negative outside), and
    from the nearest side, steepened and cut at -1 and 1, so that the box's outline is sharp.
    """
    across, down = (context * torch.linspace(-1, 1, cells) for cells in (width, height))
    to_side = (1 - across.abs())[None].expand(height, width)
    to_top = (1 - down.abs())[:, None].expand(height, width)
    outline = (4 * torch.minimum(to_side, to_top)).clamp(-1, 1)
    return torch.stack([to_side, to_top, outline])[None]


def _create(backbone: Backbone, settings: RefineSettings, classes: int) -> BoxRefiner:
    return BoxRefiner(backbone, settings.context)


REFINER = NetworkFile("refiner", ("refine",), "bana refine", "refine", RefineSettings, _create)
"""The file of a trained refiner; ``bana refine`` joins it to a labeler file too."""
