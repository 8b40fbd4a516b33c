"""Background-aware pooling forward and backward: the loop over boxes of ``tests/reference`` against ``bana``.

    python benchmarks/pooling.py --images 20 --channels 1024 --map 41 41 --boxes 60 --bins 2

Both ways share queries and attention (Eq. 1 to 3), computed for the whole batch; what differs is Eq. 4, box by box or
in two calls of RoIAlign. The reference's own loops over positions would only flatter us.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from bana.classify.pooling import background_attention, background_aware_pool, background_queries

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference.bap_loops import pooled_box


def looped(features: Tensor, attention: Tensor, boxes: Tensor, bins: int) -> Tensor:
    return torch.stack([pooled_box(features[int(box[0])], attention[int(box[0])], box[1:], bins) for box in boxes])


WAYS = {"loop": looped, "bana": background_aware_pool}


def inputs(images: int, channels: int, size: list[int], boxes: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, channels, *size, generator=generator).relu()
    corners = torch.rand(boxes, 2, 2, generator=generator).sort(1).values * torch.tensor([size[1] - 1, size[0] - 1])
    numbered = torch.cat([(torch.arange(boxes) % images).float()[:, None], corners.flatten(1)], 1)
    background = torch.ones(images, 1, *size)
    for number, x0, y0, x1, y1 in numbered.round().int().tolist():
        background[number, 0, y0 : y1 + 1, x0 : x1 + 1] = 0
    return features, background, numbered


def step(way: str, case: tuple[Tensor, Tensor, Tensor], bins: int) -> tuple[float, Tensor, Tensor]:
    """Seconds of one forward and backward pass, the values and the gradient."""
    features, background, boxes = case[0].clone().requires_grad_(), case[1], case[2]
    began = time.perf_counter()
    attention = background_attention(features, *background_queries(features, background, 4))
    pooled = WAYS[way](features, attention, boxes, bins)
    pooled.square().sum().backward()  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - began
    assert features.grad is not None
    return seconds, pooled.detach(), features.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--map", type=int, nargs=2, default=[41, 41], metavar=("h", "w"))
    parser.add_argument("--boxes", type=int, default=60)
    parser.add_argument("--bins", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    case = inputs(options.images, options.channels, options.map, options.boxes)
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    results = {}
    for _ in range(options.repeats + 1):
        for way in WAYS:
            seconds, *results[way] = step(way, case, options.bins)
            times[way].append(seconds)
    medians = {way: statistics.median(values[1:]) for way, values in times.items()}  # the first warms up
    for way, median in medians.items():
        print(f"{way:6}{median * 1e3:>10.0f} ms")
    print(f"{'ratio':6}{medians['loop'] / medians['bana']:>10.1f}")
    values, gradients = (float((a - b).abs().max()) for a, b in zip(results["loop"], results["bana"], strict=True))
    print(f"greatest difference: values {values:.1e}, gradients {gradients:.1e}")


if __name__ == "__main__":
    main()
