"""Resident memory of `bana label` over many images, and for images with many pixels or boxes.

    python benchmarks/memory.py --images 10000 --plot docs/memory.png
    python benchmarks/memory.py --images 100000 --method box --same
    python benchmarks/memory.py --boxes

Photographs are made of those that come with bana: crops of 96 to 256 pixels a side, each another one, or with --same 52
that are linked again and again. The data set is one COCO file. The labeler is the one that comes with bana, on images
of 257 pixels, so that 10,000 take minutes. Memory is what the system says of the process, looked at while it works, and
flat where after the first 200 images it stays within 5 % of its mean. Exit status 1 if it does not.

With --boxes one image after the other, each in a process of its own and on one thread: the most memory that it takes,
and the seconds after the labeler is loaded. Images are a sample photograph, resized; boxes lie anywhere.
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
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from bana import Labeler
from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.reading import read_dataset
from bana.data.sample import FOLDER, sample_dataset
from bana.engine.memory import peak_memory
from bana.nn.initialization import pretrained_path

FIRST = 200
"""Images after which memory must be flat: until then sizes are met that were not met before."""

CASES = (
    (500, 375, 3, 20),
    (4000, 3000, 1, 1),
    (10900, 8200, 20, 5),
    (2000, 1500, 50, 10),
    (640, 480, 250, 1),
    (640, 480, 1000, 20),
    (640, 480, 5000, 80),
    (640, 480, 300, 300),
)
"""Width, height, boxes and classes."""

SIDES = (0.04, 0.25)
"""Sides of boxes, in sides of the image."""

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


def labeled(width: int, height: int, boxes: int, classes: int) -> dict[str, float]:
    """Label one image; returns the most memory in GB, and the seconds."""
    record = next(record for record in sample_dataset() if len(record) > 3)
    image = np.asarray(Image.fromarray(open_record_image(record)).resize((width, height)))
    chance = np.random.default_rng(0)
    sides = chance.uniform(*SIDES, (boxes, 2)) * [width, height]
    corners = chance.uniform(0, 1, (boxes, 2)) * ([width, height] - sides)
    class_ids = chance.integers(1, classes + 1, boxes)
    torch.set_num_threads(1)
    labeler = Labeler.pretrained(threads=1).for_classes([f"class {number}" for number in range(classes)])
    began = time.monotonic()
    labeler(image, np.concatenate([corners, corners + sides], 1), class_ids)
    return {"gigabytes": peak_memory() / 1e9, "seconds": time.monotonic() - began}


def show_boxes() -> None:
    """Print the table of CASES."""
    table = Table("width x height", "boxes", "classes", "most memory, GB", "seconds")
    for width, height, boxes, classes in CASES:
        case = [str(number) for number in (width, height, boxes, classes)]
        answer = subprocess.run([sys.executable, __file__, "--case", *case], capture_output=True, text=True)
        found = json.loads(answer.stdout) if answer.returncode == 0 else {"gigabytes": np.nan, "seconds": np.nan}
        row = (f"{found['gigabytes']:.2f}", f"{found['seconds']:.1f}")
        table.add_row(f"{width} x {height}", str(boxes), str(classes), *row)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--method", default="labeler")
    parser.add_argument("--same", action="store_true", help="52 photographs, linked again and again")
    parser.add_argument("--side", type=int, default=257, help="longer side of what the labeler sees")
    parser.add_argument("--plot", type=Path, help="file of a picture")
    parser.add_argument("--boxes", action="store_true", help="the table of images with many pixels or boxes")
    parser.add_argument("--case", type=int, nargs=4, help="one row of it: width, height, boxes, classes")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(labeled(*options.case)))
        return
    if options.boxes:
        show_boxes()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_data(folder, options.images, options.same)
        model, facts = LABELER.load(pretrained_path())
        (folder / "labeler").mkdir()
        small = replace(facts, label={**facts.label, "image_side": options.side})
        LABELER.save(folder / "labeler" / "labeler.safetensors", model, small)
        out = folder / "labels"
        method = ["--method", options.method] + (["--labeler", str(folder / "labeler")] * (options.method != "box"))
        began = time.monotonic()
        seen = watched(
            [sys.executable, "-m", "bana", "label", str(data), *method, "--workers", "1", "--out", str(out)], out
        )
        seconds = time.monotonic() - began
    flat = np.array([megabytes for done, megabytes in seen if FIRST < done < options.images])
    if not len(flat):
        raise SystemExit(f"it was not looked at after {FIRST} images: label more")
    spread = float(np.abs(flat / flat.mean() - 1).max())
    result = {
        "images": options.images,
        "method": options.method,
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
