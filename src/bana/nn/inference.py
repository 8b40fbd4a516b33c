"""Networks at work rather than in training: the same results for less time and memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bana.nn.network import AnyNetwork, on_device

WorkPrecision = Literal["auto", "float32", "bfloat16"]
"""Number type of a network at work; ``auto`` is ``bfloat16`` where the processor computes with it, else ``float32``."""


def at_work(network: AnyNetwork, device: str) -> AnyNetwork:
    """A copy of a trained network for prediction alone, with batch normalizations made part of their convolutions.

    A normalization with fixed statistics scales and shifts each channel, which the convolution before it can do as
    well. On a CPU this saves a quarter of the time.

    Args:
        network: The network, which stays as it is.
        device: Where the copy computes.

    Raises:
        SettingsError: If the device cannot be had.
    """
    copied = copy.deepcopy(network).eval()
    _fold(copied.backbone)
    return on_device(copied, device)


def computing(precision: WorkPrecision, device: str) -> AbstractContextManager[None]:
    """A context in which networks on this device compute in a precision.

    Results are of that type too, and differ from those in ``float32`` by some thousandths of their size.
    """
    kind = device.partition(":")[0]
    reduced = precision == "bfloat16" or (precision == "auto" and kind == "cpu" and _has_bfloat16())
    return torch.autocast(kind, torch.bfloat16, enabled=reduced)


def _has_bfloat16() -> bool:
    """Whether the processor multiplies numbers of this type itself; elsewhere they would cost time."""
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch does not say
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _fold(network: nn.Module) -> None:
    """Make each batch normalization that follows a convolution, in order of definition, part of it."""
    for parent in [*network.modules()]:
        before: tuple[str, nn.Module] | None = None
        for name, child in [*parent.named_children()]:
            if before is not None and isinstance(before[1], nn.Conv2d) and isinstance(child, nn.BatchNorm2d):
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, getattr(child, "act", nn.Identity()))  # timm's normalization has an activation
            before = (name, child)
