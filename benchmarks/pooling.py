"""Background-aware pooling forward and backward: the loop over boxes of ``tests/reference`` against ``bana``.

    python benchmarks/pooling.py --images 20 --channels 1024 --map 41 41 --boxes 60 --bins 2

What differs is Eq. 4, box by box or in two calls of RoIAlign; it is measured alone, with A as an input that gets a
gradient, and together with queries and attention (Eq. 1 to 3), which both ways share and compute for the whole batch.
The reference's own loops over cells and positions would only flatter us.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bana.classify.pooling import background_attention, background_aware_pool, background_queries
from bana.engine.memory import keep_freed_memory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference.bap_loops import pooled_box


def looped(features: Tensor, attention: Tensor, boxes: Tensor, bins: int) -> Tensor:
    return torch.stack([pooled_box(features[int(box[0])], attention[int(box[0])], box[1:], bins) for box in boxes])


WAYS = {"loop": looped, "bana": background_aware_pool}


@dataclass(frozen=True)
class Case:
    """Features (N, C, h, w), definite background and attention (N, 1, h, w), boxes (K, 5)."""

    features: Tensor
    background: Tensor
    attention: Tensor
    boxes: Tensor


Timed = tuple[Any, ...]
"""Seconds, then values and gradients."""


def inputs(images: int, channels: int, size: list[int], boxes: int) -> Case:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, channels, *size, generator=generator).relu()
    corners = torch.rand(boxes, 2, 2, generator=generator).sort(1).values * torch.tensor([size[1] - 1, size[0] - 1])
    numbered = torch.cat([(torch.arange(boxes) % images).float()[:, None], corners.flatten(1)], 1)
    background = torch.ones(images, 1, *size)
    for number, x0, y0, x1, y1 in numbered.round().int().tolist():
        background[number, 0, y0 : y1 + 1, x0 : x1 + 1] = 0
    attention = background_attention(features, *background_queries(features, background, 4))
    return Case(features, background, attention, numbered)


def pooling_alone(way: str, case: Case, bins: int) -> Timed:
    """Eq. 4, forward and backward."""
    features, attention = case.features.clone().requires_grad_(), case.attention.clone().requires_grad_()
    began = time.perf_counter()
    pooled = WAYS[way](features, attention, case.boxes, bins)
    pooled.square().sum().backward()
    return time.perf_counter() - began, pooled.detach(), gradient(features), gradient(attention)


def with_attention(way: str, case: Case, bins: int) -> Timed:
    """Eq. 1 to 4, forward and backward."""
    features = case.features.clone().requires_grad_()
    began = time.perf_counter()
    attention = background_attention(features, *background_queries(features, case.background, 4))
    pooled = WAYS[way](features, attention, case.boxes, bins)
    pooled.square().sum().backward()
    return time.perf_counter() - began, pooled.detach(), gradient(features)


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def compare(name: str, step: Callable[[str, Case, int], Timed], case: Case, bins: int, repeats: int) -> None:
    """Run both ways in turns; print medians, ratio, and the greatest difference as a share of the greatest value."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    results: dict[str, tuple[Tensor, ...]] = {}
    for _ in range(repeats + 1):
        for way in WAYS:
            seconds, *results[way] = step(way, case, bins)
            times[way].append(seconds)
    loop, ours = (statistics.median(times[way][1:]) for way in ("loop", "bana"))  # the first warms up
    pairs = zip(results["loop"], results["bana"], strict=True)
    apart = max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)
    print(f"{name:18}{loop * 1e3:>8.0f} ms{ours * 1e3:>8.0f} ms{loop / ours:>7.1f}x   apart by {apart:.0e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--map", type=int, nargs=2, default=[41, 41], metavar=("h", "w"))
    parser.add_argument("--boxes", type=int, default=60)
    parser.add_argument("--bins", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep-memory", action="store_true", help="as `bana classify` does, for both ways")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.keep_memory:
        keep_freed_memory()
    case = inputs(options.images, options.channels, options.map, options.boxes)
    print(f"{'':18}{'loop':>11}{'bana':>11}{'ratio':>8}")
    compare("Eq. 4", pooling_alone, case, options.bins, options.repeats)
    compare("Eq. 1 to 4", with_attention, case, options.bins, options.repeats)


if __name__ == "__main__":
    main()
