"""Resident memory of `bana label` over many images.

    python benchmarks/memory.py --images 10000 --plot docs/memory.png
    python benchmarks/memory.py --images 100000 --method box --same

Photographs are made of those that come with bana: crops of 96 to 256 pixels a side, each another one, or with --same 52
that are linked again and again. The data set is one COCO file. The labeler is the one that comes with bana, on images
of 257 pixels, so that 10,000 take minutes. Memory is what the system says of the process, looked at while it works, and
flat where after the first 200 images it stays within 5 % of its mean. Exit status 1 if it does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from bana.classify.model import LABELER
from bana.data.reading import read_dataset
from bana.data.sample import FOLDER
from bana.nn.initialization import pretrained_path

FIRST = 200
"""Images after which memory must be flat: until then sizes are met that were not met before."""

LIMIT = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")


def write_data(folder: Path, count: int, same: bool) -> Path:
    """A COCO file of so many crops of the sample photographs, each with the boxes that it shows most of."""
    (folder / "images").mkdir()
    records = list(read_dataset(FOLDER, format="coco"))
    images, annotations = [], []
    chance = np.random.default_rng(0)
    for number in range(count):
        name = f"images/{number:06}.jpg"
        if same and number >= len(records):
            base = images[number % len(records)]
            os.link(folder / base["file_name"], folder / name)
            boxes = [each for each in annotations[: 8 * len(records)] if each["image_id"] == base["id"]]
            size = (base["width"], base["height"])
        else:
            record = records[number % len(records)]
            size, boxes = crop(folder / name, record, chance)
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for box in boxes:
            annotations.append({**box, "id": len(annotations) + 1, "image_id": number})
    categories = [{"id": number, "name": name} for number, name in enumerate(read_dataset(FOLDER).classes, 1)]
    path = folder / "many.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def crop(path: Path, record, chance: np.random.Generator) -> tuple[tuple[int, int], list[dict]]:
    """Write a random crop; returns its size and the annotations of at most eight boxes in it."""
    with Image.open(record.path) as image:
        width, height = (int(min(side, chance.integers(96, 257))) for side in image.size)
        left, top = int(chance.integers(image.width - width + 1)), int(chance.integers(image.height - height + 1))
        image.convert("RGB").crop((left, top, left + width, top + height)).save(path, quality=90)
    shown = np.clip(record.boxes - [left, top, left, top], 0, [width, height, width, height])
    kept = [k for k in range(len(shown)) if (shown[k, 2:] - shown[k, :2]).min() >= 8][:8]
    if not kept:
        return (width, height), [{"category_id": 1, "bbox": [8, 8, width - 16, height - 16], "iscrowd": 0}]
    return (width, height), [
        {
            "category_id": int(record.class_ids[k]),
            "bbox": [float(value) for value in (*shown[k, :2], *(shown[k, 2:] - shown[k, :2]))],
            "iscrowd": 0,
        }
        for k in kept
    ]


def watched(command: list[str], out: Path) -> list[tuple[int, float]]:
    """Images done and resident megabytes, again and again until a command ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen: list[tuple[int, float]] = []
    while process.poll() is None:
        time.sleep(1.0)
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            break
        if not pages:  # it has just ended
            break
        done = sum(len(files) for _, _, files in os.walk(out / "instances"))
        seen.append((done, pages * PAGE / 2**20))
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--method", default="labeler")
    parser.add_argument("--same", action="store_true", help="52 photographs, linked again and again")
    parser.add_argument("--side", type=int, default=257, help="longer side of what the labeler sees")
    parser.add_argument("--plot", type=Path, help="file of a picture")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_data(folder, options.images, options.same)
        model, facts = LABELER.load(pretrained_path())
        (folder / "labeler").mkdir()
        small = replace(facts, label={**facts.label, "image_side": options.side})
        LABELER.save(folder / "labeler" / "labeler.safetensors", model, small)
        out = folder / "labels"
        source = ["--method", options.source] + (["--labeler", str(folder / "labeler")] * (options.source != "box"))
        began = time.monotonic()
        seen = watched(
            [sys.executable, "-m", "bana", "label", str(data), *source, "--workers", "1", "--out", str(out)], out
        )
        seconds = time.monotonic() - began
    flat = np.array([megabytes for done, megabytes in seen if FIRST < done < options.images])
    if not len(flat):
        raise SystemExit(f"it was not looked at after {FIRST} images: label more")
    spread = float(np.abs(flat / flat.mean() - 1).max())
    result = {
        "images": options.images,
        "source": options.source,
        "seconds": round(seconds),
        "mean_mb": round(float(flat.mean())),
        "least_mb": round(float(flat.min())),
        "most_mb": round(float(flat.max())),
        "farthest_from_mean": round(spread, 4),
    }
    print(json.dumps(result))
    if options.plot:
        draw(seen, options.plot)
    raise SystemExit(spread > LIMIT)


def draw(seen: list[tuple[int, float]], path: Path) -> None:
    done, megabytes = np.array(seen).T
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    axes.plot(done, megabytes, color="#0b6e8a", linewidth=1.2)
    mean = megabytes[done > FIRST].mean()
    axes.axhspan(mean * (1 - LIMIT), mean * (1 + LIMIT), color="#0b6e8a", alpha=0.12, label="mean ± 5 %")
    axes.set(xlabel="images labeled", ylabel="resident memory, MB", ylim=(0, 1.2 * megabytes.max()), xlim=(0, None))
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
