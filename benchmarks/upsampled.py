"""Similarity maps and prototypes at image resolution: the upsampled tensor against ``UpsampledFeatures``.

    python benchmarks/upsampled.py --channels 1024 --map 47 63 --image 375 500

The step is what labeling asks of an image: the cosine of every pixel with 3 vectors, and the mean feature under 3
masks. Times alternate in one process. Memory is what the process's resident set grows to beyond its inputs, each way
in a process of its own (Linux).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.label.upsampled import UpsampledFeatures

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def naive(features: Tensor, vectors: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Build the tensor once, and no copy of it."""
    tall = F.interpolate(features[None], masks.shape[1:], mode="bilinear", align_corners=True)[0]
    cosine = torch.einsum("vc,chw->vhw", F.normalize(vectors), tall) / tall.norm(dim=0).clamp(min=1e-12)
    sums = torch.einsum("vp,cp->vc", masks.flatten(1).float(), tall.flatten(1))
    return cosine, sums / masks.sum((1, 2)).unsqueeze(1)


def ours(features: Tensor, vectors: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Never build it."""
    upsampled = UpsampledFeatures(features, (masks.shape[1], masks.shape[2]))
    return upsampled.cosine(vectors), upsampled.mean(masks)


STEPS: dict[str, Step] = {"naive": naive, "bana": ours}


def inputs(channels: int, low: list[int], size: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(channels, *low, generator=generator).relu()
    masks = torch.zeros(3, *size, dtype=torch.bool)
    masks[0, : size[0] // 2] = masks[1, size[0] // 2 :, : size[1] // 2] = masks[2, size[0] // 2 :, size[1] // 2 :] = (
        True
    )
    return features, torch.randn(3, channels, generator=generator), masks


def status(field: str) -> int:
    """A memory figure of this process in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise SystemExit("/proc/self/status has no memory figures; run this on Linux")


def grown(step: Step, case: tuple[Tensor, Tensor, Tensor]) -> float:
    """MB that the resident set grows to beyond what it is before the step."""
    step(*inputs(8, [3, 4], [9, 10]))  # loads the libraries' code
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    before = status("VmRSS")
    step(*case)
    return (status("VmHWM") - before) / 1024


def seconds(case: tuple[Tensor, Tensor, Tensor], repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in STEPS}
    for _ in range(repeats + 1):
        for name, step in STEPS.items():
            began = time.perf_counter()
            step(*case)
            times[name].append(time.perf_counter() - began)
    return {name: values[1:] for name, values in times.items()}  # the first warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--map", type=int, nargs=2, default=[47, 63], metavar=("h", "w"))
    parser.add_argument("--image", type=int, nargs=2, default=[375, 500], metavar=("H", "W"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grown", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    case = inputs(options.channels, options.map, options.image)
    if options.grown:
        print(grown(STEPS[options.grown], case))
        return
    times = {name: statistics.median(values) for name, values in seconds(case, options.repeats).items()}
    memory = {
        name: float(subprocess.check_output([sys.executable, *sys.argv, "--grown", name], text=True)) for name in STEPS
    }
    differences = [float((one - other).abs().max()) for one, other in zip(naive(*case), ours(*case), strict=True)]
    print(f"{'':8}{'ms':>10}{'MB':>10}")
    for name in STEPS:
        print(f"{name:8}{times[name] * 1e3:>10.1f}{memory[name]:>10.1f}")
    print(f"{'ratio':8}{times['naive'] / times['bana']:>10.1f}{memory['naive'] / memory['bana']:>10.1f}")
    print(f"greatest difference: maps {differences[0]:.1e}, prototypes {differences[1]:.1e}")


if __name__ == "__main__":
    main()
