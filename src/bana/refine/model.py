"""The refiner's network: a backbone and a decoder that turn windows into one logit a cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bana.nn.backbones import Backbone
from bana.nn.heads import PyramidDecoder
from bana.nn.network import Network
from bana.nn.network_file import NetworkFile
from bana.refine.settings import RefineSettings

WIDTHS = (32, 48, 64, 96, 96)
"""Channels of the decoder on the maps of strides 2, 4, 8, 16 and 32."""

_POSITION = 3
"""Channels that say where a cell lies in the box."""


class BoxDecoder(PyramidDecoder):
    """A decoder that gives one logit a cell; each of its levels is told where the cells lie in the box.

    Args:
        channels: Channels of each feature map, finest first.
        context: Sides of the window, in sides of the box.
    """

    def __init__(self, channels: tuple[int, ...], context: float) -> None:
        widths = WIDTHS[-len(channels) :]
        super().__init__(channels, widths, _POSITION)
        self._context = context
        self.output = nn.Conv2d(widths[0], 1, 1)
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features (N, C_i, h_i, w_i), finest first, to logits (N, 1, h_0, w_0)."""
        logits: Tensor = self.output(super().forward(features))
        return logits

    def extended(self, maps: Tensor) -> Tensor:
        """The map, and where its cells lie in the box."""
        position = position_maps(maps.shape[2], maps.shape[3], self._context).to(maps)
        return torch.cat([maps, position.expand(len(maps), -1, -1, -1)], 1)


class BoxRefiner(Network):
    """Windows to logits of "this pixel is the box's object"; it knows no classes.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        context: Sides of the window, in sides of the box.
    """

    def __init__(self, backbone: Backbone, context: float) -> None:
        super().__init__(backbone, BoxDecoder(backbone.info.channels, context))
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
