"""The first hour of a new user: from some images with boxes to networks, each command timed.

    python benchmarks/first_hour.py DATA --split train --images 60 --val DATA --val-split val [--val-images 100]

A data set of evenly spaced images of the split is written in the format of DATA, and with it images of ``--val``, which
nothing learns from. Then the commands of the README are called as a user calls them. True masks only score. The table
says what each command took and what came out: labels before and after training on one's own boxes, a semantic network,
and a Mask R-CNN.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bana
from bana.data.convert import writer
from bana.pipeline.choice import spaced


def main() -> None:
    """Write the data set, call the commands, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", required=True)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--val-split", required=True)
    parser.add_argument("--val-images", type=int, default=100)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--keep", type=Path, help="folder for all that is written (default: a temporary one)")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        train = bana.read_dataset(arguments.data, arguments.split)
        val = bana.read_dataset(arguments.val, arguments.val_split)
        write = writer(train.format)
        write(spaced(train, arguments.images).records, train.class_table, folder / "data", "train")
        write(spaced(val, arguments.val_images).records, train.class_table, folder / "data", "val")
        rows = walk(folder, arguments.preset)
    for cells in (("step", "seconds", "mIoU", "AP / AP50 / AP75"), ("---", "---:", "---:", "---:"), *rows):
        print(f"| {' | '.join(cells)} |")


def walk(folder: Path, preset: str) -> list[tuple[str, ...]]:
    """The rows of the table."""
    data = folder / "data"
    rows: list[tuple[str, ...]] = []

    def step(name: str, *command: object, score: str = "", split: str = "train") -> None:
        began = time.perf_counter()
        called(*command)
        row = (name, f"{time.perf_counter() - began:.0f}")
        found = json.loads(called("evaluate", folder / score, data, "--split", split, "--json")) if score else {}
        rows.append((*row, miou_of(found), objects_of(found)))
        print(*rows[-1], file=sys.stderr, flush=True)

    train, val = (data, "--split", "train", "--quiet"), (data, "--split", "val", "--quiet", "--out")
    step("`bana check`", "check", data, "--split", "train")
    step("`bana label`, untrained", "label", *train, "--out", folder / "labels", score="labels")
    step("`bana run`", "run", *train, "--preset", preset, "--out", folder / "run", score="run/labels")
    step("`bana predict`, network", "predict", folder / "run", *val, folder / "masks", score="masks", split="val")
    options = ("--labels", folder / "run" / "labels", "--preset", preset, "--out", folder / "detector")
    step("`bana segment --task instance`", "segment", *train, "--task", "instance", *options)
    predict = ("predict", folder / "detector", *val, folder / "objects")
    step("`bana predict`, Mask R-CNN", *predict, score="objects", split="val")
    return rows


def called(*command: object) -> str:
    """The standard output of a command of bana; its messages go where ours go."""
    words = [sys.executable, "-m", "bana", *map(str, command)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def miou_of(found: dict[str, Any]) -> str:
    """The mIoU of labels or predictions, in %."""
    scores = found.get("y_crf") or found.get("prediction") or {}
    return f"{scores['miou']:.1f}" if "miou" in scores else ""


def objects_of(found: dict[str, Any]) -> str:
    """Mask AP, AP50 and AP75 of labels or predictions, in %."""
    scores = found.get("instances") or {}
    return " / ".join(f"{scores[name]:.1f}" for name in ("ap", "ap50", "ap75")) if scores.get("ap") is not None else ""


if __name__ == "__main__":
    main()
