"""What the losses on pixel labels can be given."""

from __future__ import annotations

import torch
from torch import Tensor

from bana.errors import SettingsError


def check_labels(cosine: Tensor, **labels: Tensor) -> None:
    """Raise SettingsError where shapes or types do not fit; to look at values would make a GPU wait."""
    if cosine.dim() != 4 or cosine.numel() == 0 or not cosine.is_floating_point():
        raise SettingsError(f"the cosines are {_described(cosine)}: they must be floating numbers (N, C, H, W)")
    expected = (len(cosine), *cosine.shape[2:])
    for name, numbers in labels.items():
        if numbers.shape != expected or numbers.dtype != torch.int64:
            raise SettingsError(
                f"{name} is {_described(numbers)}: cosines {tuple(cosine.shape)} need int64 labels {expected}; "
                "upsample the cosines to the labels, not the other way round"
            )


def check_pair(y_crf: Tensor, y_ret: Tensor) -> None:
    """Raise SettingsError where two maps are of different shapes."""
    if y_crf.shape != y_ret.shape:
        raise SettingsError(f"y_crf is {_described(y_crf)} and y_ret {_described(y_ret)}: they must be of one shape")


def check_regions(cosine: Tensor, regions: Tensor) -> None:
    """Raise SettingsError where regions are not one bool for each cosine."""
    if regions.shape != cosine.shape or regions.dtype != torch.bool:
        raise SettingsError(f"the regions are {_described(regions)}: cosines need bool {tuple(cosine.shape)}")


def check_numbers(temperature: float = 1.0, *, gamma: float = 1.0, lam: float = 0.0) -> None:
    """Raise SettingsError where a number is out of range."""
    if not temperature > 0:
        raise SettingsError(f"the temperature is {temperature:g}: it must be above 0")
    if not gamma >= 1:
        raise SettingsError(f"gamma is {gamma:g}: it must be 1 or more")
    if not lam >= 0:
        raise SettingsError(f"lam is {lam:g}: it must be 0 or more")


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
