"""Seconds and peak memory of reading a COCO file of the size of ``instances_train2017.json``.

    OMP_NUM_THREADS=1 python benchmarks/coco_reader.py

A synthetic file and its images, which are empty because nothing opens them, are written to a temporary folder and read
by a fresh process, which prints one line. Not on Windows.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bana import read_dataset

IMAGES, ANNOTATIONS = 118_287, 860_001
"""As many as ``instances_train2017.json`` has."""
SIZE = (640, 480)
CATEGORIES = 80
CROWD_SHARE = 0.012
SHAPES = 4000
"""Different outlines, and a tenth as many crowd masks; each annotation takes one."""


def compact(value: object) -> str:
    """JSON without spaces, as COCO's own."""
    return json.dumps(value, separators=(",", ":"))


def outline(random: random.Random) -> str:
    """Area, box and polygons of an object, as text: one to four rings of about 16 points each."""
    width, height = (random.uniform(8, side / 2) for side in SIZE)
    x, y = random.uniform(0, SIZE[0] - width), random.uniform(0, SIZE[1] - height)
    rings = []
    for _ in range(random.choices((1, 2, 3, 4), (70, 18, 8, 4))[0]):
        points = range(random.randrange(6, 27))
        rings.append(
            [round(low + random.random() * side, 2) for _ in points for low, side in ((x, width), (y, height))]
        )
    box = [round(value, 2) for value in (x, y, width, height)]
    return f'"segmentation": {compact(rings)},"area": {width * height / 2},"iscrowd": 0,"bbox": {compact(box)}'


def crowd(random: random.Random) -> str:
    """Area, box and RLE of a crowd region, as text: about 300 runs that begin and end outside it."""
    ends = sorted(random.sample(range(SIZE[0] * SIZE[1]), random.randrange(100, 500)))
    counts = [after - before for before, after in zip([0, *ends], [*ends, SIZE[0] * SIZE[1]], strict=True)]
    mask = compact({"counts": counts, "size": SIZE[::-1]})
    return f'"segmentation": {mask},"area": {sum(counts[1::2])},"iscrowd": 1,"bbox": [0, 0, {SIZE[0]}, {SIZE[1]}]'


def write_coco(root: Path, images: int, annotations: int) -> Path:
    """Write ``annotations/instances_train2017.json`` and empty images in ``train2017``; the file's path."""
    source = random.Random(0)
    numbers = source.sample(range(600_000), images)
    outlines = [outline(source) for _ in range(SHAPES)]
    crowds = [crowd(source) for _ in range(SHAPES // 10)]
    file = root / "annotations" / "instances_train2017.json"
    file.parent.mkdir(parents=True)
    (root / "train2017").mkdir()
    with file.open("w") as text:
        text.write('{"info": {"description": "synthetic"},"licenses": [],"images": [')
        for index, number in enumerate(numbers):
            name = f"{number:012}.jpg"
            (root / "train2017" / name).touch()
            text.write(
                f'{"," if index else ""}{{"license": 3,"file_name": "{name}","coco_url": "images/train2017/{name}",'
                f'"height": {SIZE[1]},"width": {SIZE[0]},"date_captured": "2013-11-14 11:18:45",'
                f'"flickr_url": "photographs/{number:012}_{number:010x}_z.jpg","id": {number}}}'
            )
        text.write('],"annotations": [')
        for index in range(annotations):
            shape = source.choice(crowds if source.random() < CROWD_SHARE else outlines)
            category = source.randrange(CATEGORIES) + 1
            image = source.choice(numbers)
            text.write(
                f'{"," if index else ""}{{{shape},"image_id": {image},"category_id": {category},"id": {index + 1}}}'
            )
        categories = [{"id": number, "name": f"class {number}"} for number in range(1, CATEGORIES + 1)]
        text.write(f'],"categories": {compact(categories)}}}')
    return file


def read(file: Path) -> None:
    """Read the file and print what it took."""
    began = time.perf_counter()
    dataset = read_dataset(file)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(
        f"{file.stat().st_size / 1e6:.0f} MB, {len(dataset)} images, {sum(map(len, dataset))} objects: "
        f"{seconds:.1f} s, peak {peak / 1e6:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--annotations", type=int, default=ANNOTATIONS)
    parser.add_argument("--read", type=Path, metavar="JSON", help="read this file instead, in this process")
    options = parser.parse_args()
    if options.read:
        read(options.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = write_coco(Path(folder), options.images, options.annotations)
        subprocess.run([sys.executable, __file__, "--read", str(file)], check=True)


if __name__ == "__main__":
    main()
