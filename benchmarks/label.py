"""Speed of ``bana label`` from a cold start, and where the time of an image goes.

    python benchmarks/label.py DATA --split val --labeler RUN --workers 2

The first figure is the whole command in a new process, with starting processes and loading weights. The parts are
measured in this process with one thread, image by image, on the first images of the data set.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.reading import read_dataset
from bana.data.records import BoxDataset
from bana.label import labeler as labeler_module
from bana.label import run as run_module
from bana.label.labeler import Labeler
from bana.label.methods.choose import MethodChoice
from bana.refine.refiner import Refiner
from densecrf import DenseCRF, PreparedCRF

PARTS: dict[str, tuple[Any, str]] = {
    "decode": (run_module, "open_record_image"),
    "network, image scaled": (Labeler, "features"),
    "tightness": (Labeler, "_raised"),
    "instances": (labeler_module, "instance_masks"),
    "attention": (Labeler, "_view"),
    "combination": (labeler_module, "combined_boxes"),
    "unaries": (Labeler, "_unaries"),
    "CRF, lattice": (DenseCRF, "prepare"),
    "CRF, mean field": (PreparedCRF, "__call__"),
    "retrieval": (Labeler, "_correlation"),
    "box classes": (labeler_module, "predicted_classes"),
    "refiner": (Refiner, "__call__"),
    "assembling": (labeler_module, "assemble_refined"),
    "encode and write": (run_module, "write_labels"),
}
"""Parts of labeling an image, none within another, and the function that is each."""


def measured(seconds: dict[str, float]) -> None:
    """Make every part add its time to ``seconds``."""

    def timed(part: str, function: Any) -> Any:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                seconds[part] += time.perf_counter() - began

        return wrapper

    for part, (home, name) in PARTS.items():
        setattr(home, name, timed(part, getattr(home, name)))


def label_here(dataset: BoxDataset, labeler: Path) -> float:
    """Label in this process; the seconds that it took."""
    with tempfile.TemporaryDirectory() as out:
        run = run_module.label_dataset(
            dataset, MethodChoice.of_labeler(labeler), Path(out), workers=1, console=Console(quiet=True)
        )
    return run.seconds


def cold_start(data: list[str], labeler: Path, workers: int) -> tuple[int, float]:
    """Images, and seconds of the whole command."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "bana", "label", *data, "--labeler", str(labeler), "--out", out, "--json"]
        began = time.perf_counter()
        answer = subprocess.check_output([*command, "--workers", str(workers)], text=True)
        return json.loads(answer)["labeled"], time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--split")
    parser.add_argument("--labeler", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=30, help="of which the parts are measured")
    options = parser.parse_args()
    count, seconds = cold_start(
        [options.data, *(["--split", options.split] if options.split else [])], options.labeler, options.workers
    )
    print(
        f"{count} images in {seconds:.1f} s from a cold start: {count / seconds:.2f} images/s, "
        f"{options.workers} workers"
    )
    dataset = read_dataset(options.data, options.split)
    dataset = replace(dataset, records=dataset.records[: options.images])
    label_here(replace(dataset, records=dataset.records[:1]), options.labeler)  # compiles, fills caches
    parts: dict[str, float] = defaultdict(float)
    measured(parts)
    whole = label_here(dataset, options.labeler)
    parts["the rest"] = whole - sum(parts.values())
    for part, spent in parts.items():
        print(f"{part:22}{spent / len(dataset) * 1e3:>8.0f} ms{spent / whole:>8.1%}")
    print(f"{'an image':22}{whole / len(dataset) * 1e3:>8.0f} ms")


if __name__ == "__main__":
    main()
