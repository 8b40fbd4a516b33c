"""Compare speed and results with pydensecrf, and results with the sum over all pairs of pixels.

    pip install . pillow pydensecrf2
    python benchmarks/crf.py PHOTOGRAPH...

Each row is a number of classes and sxy/srgb of the bilateral kernel; sxy of the Gaussian one is 3. Every round runs
pydensecrf and densecrf in turns on the same photograph. A row has the median, over rounds and photographs, of how many
times faster densecrf is: in process time with one thread, in wall time with two. In the columns "fixed" all pixels
outside one box of 40 % of the image are fixed. Unaries are smooth noise.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densecrf import DenseCRF

try:
    import pydensecrf.densecrf as field
except ImportError:
    field = None

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))
from naive_mean_field import dense_crf  # noqa: E402

SETTINGS = ((2, 55, 3), (5, 55, 3), (21, 121, 5))


def photograph(path: Path, size: tuple[int, int]) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))


def smooth_unary(classes: int, height: int, width: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.normal(size=(classes, -(-height // 25), -(-width // 25))).astype(np.float32) * 1.5
    planes = [np.array(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)) for plane in coarse]
    return (np.stack(planes) + generator.normal(size=(classes, height, width)) * 0.3).astype(np.float32)


def outside_a_box(height: int, width: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    box_height, box_width = int(height * 0.63), int(width * 0.63)
    top, left = generator.integers(0, height - box_height), generator.integers(0, width - box_width)
    fixed = np.ones((height, width), dtype=bool)
    fixed[top : top + box_height, left : left + box_width] = False
    return fixed


def by_pydensecrf(image: np.ndarray, unary: np.ndarray, sxy: float, srgb: float) -> np.ndarray:
    classes, height, width = unary.shape
    crf = field.DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(unary.reshape(classes, -1))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=image, compat=4)
    return np.array(crf.inference(10)).reshape(unary.shape)


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """What it gives, and its seconds by process time and by the clock."""
    process, clock = time.process_time(), time.perf_counter()
    result = function(*arguments)
    return result, time.process_time() - process, time.perf_counter() - clock


def compare(images: Sequence[np.ndarray], classes: int, sxy: float, srgb: float, rounds: int) -> None:
    height, width = images[0].shape[:2]
    one, two = (DenseCRF(bilateral_sxy=sxy, bilateral_srgb=srgb, threads=threads) for threads in (1, 2))
    ratios: dict[str, list[float]] = {"1 thread": [], "2 threads": [], "fixed, 1": [], "fixed, 2": []}
    scaling, seconds, differences, equal, inside = [], [], [], [], []
    for turn in range(rounds * len(images) + 1):
        image, seed = images[turn % len(images)], turn % len(images)
        unary, fixed = smooth_unary(classes, height, width, seed), outside_a_box(height, width, seed)
        expected, theirs, their_clock = timed(by_pydensecrf, image, unary, sxy, srgb)
        found, ours, our_clock = timed(one, image, unary)
        _, _, both = timed(two, image, unary)
        held, held_process, _ = timed(one, image, unary, None, fixed)
        _, _, held_both = timed(two, image, unary, None, fixed)
        if turn == 0:
            continue  # compiles, fills caches
        for name, ratio in zip(
            ratios, (theirs / ours, their_clock / both, theirs / held_process, their_clock / held_both), strict=True
        ):
            ratios[name].append(ratio)
        scaling.append(our_clock / both)
        seconds.append((theirs, ours))
        differences.append(float(np.abs(found - expected).max()))
        equal.append(float((found.argmax(0) == expected.argmax(0)).mean()))
        if turn <= len(images):
            plainly = one.infer(image, unary, fixed=fixed).marginals  # holds the pixels after every update of all
            inside.append(float(np.abs(held - plainly).max()))
    theirs, ours = (statistics.median(column) * 1e3 for column in zip(*seconds, strict=True))
    cells = "".join(f"{statistics.median(ratio):>11.2f}" for ratio in ratios.values())
    print(
        f"{classes:>7} {sxy:>5}/{srgb}{theirs:>12.0f} ms{ours:>8.0f} ms{cells}{statistics.median(scaling):>11.2f}"
        f"{max(differences):>11.1e}{min(equal):>11.4%}{max(inside):>11.1e}",
        flush=True,
    )


def against_the_definition(path: Path, rounds: int) -> None:
    """Distance to the dense sum over all pairs of pixels, on small images; and how long that takes."""
    size = (60, 45)
    image = photograph(path, size)
    print(
        f"\nAgainst the sum over all pairs of pixels, {size[0]}x{size[1]}: mean |difference|, labels that differ, ratio"
    )
    for classes, sxy, srgb in SETTINGS:
        unary = smooth_unary(classes, size[1], size[0], 0)
        began = time.perf_counter()
        exact = dense_crf(image, unary, bilateral_sxy=sxy, bilateral_srgb=srgb)
        naive = time.perf_counter() - began
        crf = DenseCRF(bilateral_sxy=sxy, bilateral_srgb=srgb, threads=1)
        crf(image, unary)
        ours = statistics.median(timed(crf, image, unary)[2] for _ in range(rounds))
        line = f"{classes:>7} {sxy:>5}/{srgb}"
        ways = {"densecrf": crf(image, unary), "pydensecrf": by_pydensecrf(image, unary, sxy, srgb)}
        for name, marginals in ways.items():
            off = (marginals.argmax(0) != exact.argmax(0)).mean()
            line += f"   {name} {np.abs(marginals - exact).mean():.5f} {off:.2%}"
        print(f"{line}   {naive / ours:.0f}x")


def batches(images: Sequence[np.ndarray], rounds: int) -> None:
    """Images a second of many images at once, with one and with two threads."""
    unaries = [smooth_unary(2, *image.shape[:2], seed) for seed, image in enumerate(images)]
    ratios = []
    for turn in range(rounds + 1):
        times = [timed(DenseCRF(threads=threads).batch, images, unaries)[2] for threads in (1, 2)]
        if turn:
            ratios.append(times[0] / times[1])
    print(f"\nBatch of {len(images)} images, 2 classes: {statistics.median(ratios):.2f}x the images/s with two threads")


def peak_memory(way: str, path: Path, size: tuple[int, int], classes: int) -> float:
    """Growth of the peak resident set by one call, in MB, in a process of its own."""
    program = (
        f"import resource, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import crf\n"
        "from pathlib import Path\n"
        f"size = {size!r}; image = crf.photograph(Path({str(path)!r}), size)\n"
        f"unary = crf.smooth_unary({classes}, size[1], size[0], 0); small = slice(0, 16)\n"
        f"call = (lambda i, u: crf.DenseCRF(threads=1)(i, u)) if {way!r} == 'densecrf' else "
        "(lambda i, u: crf.by_pydensecrf(i, u, 55, 3))\n"
        "call(image[small, small].copy(), unary[:, small, small].copy())\n"
        "before = int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 1e6\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "call(image, unary)\n"
        "peak = [l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1]\n"
        "print(int(peak) / 1e3 * 1.024 - before)\n"
    )
    return float(subprocess.check_output([sys.executable, "-c", program], text=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", nargs="*", type=Path, help="images (default: the one of the tests)")
    parser.add_argument("--size", nargs=2, type=int, default=(500, 375), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = options.photographs or [TESTS / "photograph.jpg"]
    size = tuple(options.size)
    images = [photograph(path, size) for path in paths]
    if field is None:
        raise SystemExit("pydensecrf: not installed; pip install pydensecrf2")
    print(
        f"{size[0]}x{size[1]}, 10 iterations, {len(images)} photographs, {options.rounds} rounds; ratios to pydensecrf"
    )
    columns = ["densecrf", "1 thread", "2 threads", "fixed, 1", "fixed, 2", "2 to 1", "max diff", "labels =", "fixed"]
    print(f"{'classes':>7} {'sxy/srgb':>8}{'pydensecrf':>15}" + "".join(f"{name:>11}" for name in columns))
    for classes, sxy, srgb in SETTINGS:
        compare(images, classes, sxy, srgb, options.rounds)
    against_the_definition(paths[0], options.rounds)
    batches(images * 2, options.rounds)
    print("\nPeak memory of a call beyond its inputs, MB")
    for classes in (2, 5, 21):
        ours, theirs = (peak_memory(way, paths[0], size, classes) for way in ("densecrf", "pydensecrf"))
        print(f"{classes:>7} classes: densecrf {ours:.0f}, pydensecrf {theirs:.0f}")


if __name__ == "__main__":
    main()
