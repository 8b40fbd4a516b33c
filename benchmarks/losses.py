"""Noise-aware loss forward and backward: flattening and indexing (``tests/reference``) against ``bana``.

    OMP_NUM_THREADS=1 python benchmarks/losses.py --images 20 --classes 21 --side 321

Times are medians of runs in turns within one process. Memory is the peak above program, cosines and labels, gradient
included, each way in a process of its own; Linux only. Blobs of about 5 % of the pixels differ, and every fourth image
has an ignored margin, as after padding.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.segment.losses import noise_aware_loss

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reference import losses_naive

WAYS = {"naive": losses_naive.noise_aware_loss, "bana": noise_aware_loss}


def inputs(images: int, classes: int, side: int, differing: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines (N, C, side, side) that lean towards Y_crf, Y_crf and Y_ret."""
    generator = torch.Generator().manual_seed(0)

    def smooth(maps: int, cells: int) -> Tensor:
        coarse = torch.rand(images, maps, cells, cells, generator=generator)
        return F.interpolate(coarse, (side, side), mode="bilinear", align_corners=True)

    cosine = smooth(classes, 9).mul_(2).sub_(1).clamp_(-1, 1)
    y_crf = smooth(classes, 9).add_(cosine).argmax(1)
    unsure = smooth(1, 17)[:, 0]
    y_ret = torch.where(unsure > unsure.quantile(1 - differing), (y_crf + 1) % classes, y_crf)
    for labels in (y_crf, y_ret):
        labels[::4, :, -side // 10 :] = 255
    return cosine.requires_grad_(), y_crf, y_ret


def step(way: str, case: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Value and gradient; not through ``.grad``, which would copy the naive way's transposed gradient once more."""
    value = WAYS[way](*case)
    (gradient,) = torch.autograd.grad(value, case[0])
    return value.detach(), gradient


def resident(field: str) -> int:
    """A field of this process's status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def print_peak(way: str, case: tuple[Tensor, Tensor, Tensor]) -> None:
    step(way, inputs(2, 3, 9, 0.5))  # loads what torch loads late
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far becomes what is resident now
    before = resident("VmRSS")
    step(way, case)
    print(resident("VmHWM") - before)


def peak(way: str, threads: int, sizes: list[str]) -> float:
    """Peak in MB above the inputs, in a new process."""
    command = [sys.executable, __file__, "--peak-of", way, "--threads", str(threads), *sizes]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--side", type=int, default=321)
    parser.add_argument("--differing", type=float, default=0.05, help="share of the pixels in ~S")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak-of", choices=WAYS, help="print the KiB that one way needs, nothing else")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    case = inputs(options.images, options.classes, options.side, options.differing)
    if options.peak_of:
        print_peak(options.peak_of, case)
        return
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    results: dict[str, tuple[Tensor, Tensor]] = {}
    for _ in range(options.repeats + 1):
        for way in WAYS:
            results.pop(way, None)
            began = time.perf_counter()
            results[way] = step(way, case)
            times[way].append(time.perf_counter() - began)
    naive, ours = (statistics.median(times[way][1:]) for way in WAYS)  # the first warms up
    sizes = [f"--{name}={getattr(options, name)}" for name in ("images", "classes", "side", "differing")]
    naive_peak, our_peak = (peak(way, options.threads, sizes) for way in WAYS)
    print(f"{'':8}{'naive':>11}{'bana':>11}{'ratio':>8}")
    print(f"{'time':8}{naive * 1e3:>8.0f} ms{ours * 1e3:>8.0f} ms{naive / ours:>7.1f}x")
    print(f"{'memory':8}{naive_peak:>8.0f} MB{our_peak:>8.0f} MB{naive_peak / our_peak:>7.1f}x")
    value, gradient = (float((a - b).abs().max() / a.abs().max()) for a, b in zip(*results.values(), strict=True))
    print(f"apart by {value:.0e} (value) and {gradient:.0e} (gradient, as a share of its greatest entry)")


if __name__ == "__main__":
    main()
