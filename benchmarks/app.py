"""How long the workbench takes to answer: opening an image, changing a box, painting, accepting.

    python benchmarks/app.py DATA [--split val] [--images 20]

Every image is opened as for the first time (its pixels read, its features computed, its boxes labeled), then its first
box is moved by some pixels a few times, which labels the image anew from the features that are kept, then painted, then
accepted. Last the queue of 10,000 images is made and sent. Times are those of the server, without the browser's.
Nothing of DATA is changed; labels and reviews go to a folder that is removed. All on one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from bana.app.actions import Change, Edit, Paint, SetState
from bana.app.queue import Queue
from bana.app.views import review_view
from bana.app.workbench import Shown, Workbench
from bana.data.reading import read_dataset
from bana.data.records import BoxDataset
from bana.label.labeler import Labeler
from bana.label.methods.choose import MethodChoice
from bana.label.output import manifest_of

_CHANGES = 3

_MANY = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--images", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = read_dataset(options.data, options.split)
    source = MethodChoice()
    labeler = source.open(dataset.classes, threads=1)
    assert isinstance(labeler, Labeler)
    with TemporaryDirectory() as folder:
        bench = Workbench(dataset, labeler, manifest_of(source.facts(), dataset.class_table), Path(folder))
        images = [record.image_id for record in dataset if len(record)][: options.images + 1]
        times: dict[str, list[float]] = {}
        visit(bench, images[0], {})  # the CRF is compiled
        for image in images[1:]:
            visit(bench, image, times)
    print(f"{len(images) - 1} images of {options.data}, seconds: median and worst")
    for what, values in times.items():
        print(f"{what:32} {median(values):7.3f} {max(values):7.3f}   of {len(values)}")
    queue_of_many(dataset, labeler, manifest_of(source.facts(), dataset.class_table))
    ratio = median(times["open for the first time"]) / median(times["change a box"])
    print(f"a change takes 1/{ratio:.1f} of the first opening: features are computed once")


def queue_of_many(dataset: BoxDataset, labeler: Labeler, manifest: dict[str, Any]) -> None:
    """Print how long the queue takes with the images of a data set over and over."""
    records = [
        replace(each, image_id=f"{number:06}") for number, each in zip(range(_MANY), cycle(dataset), strict=False)
    ]
    with TemporaryDirectory() as folder:
        bench = Workbench(replace(dataset, records=tuple(records)), labeler, manifest, Path(folder))
        began = time.perf_counter()
        queue = Queue(bench)
        made = time.perf_counter()
        content = json.dumps([row.as_dict() for row in queue.rows()])
        sent = time.perf_counter() - made
        print(f"queue of {_MANY} images: made in {made - began:.2f} s, sent in {sent:.2f} s, {len(content)} bytes")


def visit(bench: Workbench, image: str, times: dict[str, list[float]]) -> None:
    record = bench.record(image)
    revision = 0

    def timed(what: str, work: Callable[[], Shown]) -> Shown:
        began = time.perf_counter()
        shown = work()
        review_view(record, shown)  # what the page is sent
        times.setdefault(what, []).append(time.perf_counter() - began)
        return shown

    def act(what: str, action: Edit) -> None:
        nonlocal revision
        revision = timed(what, lambda: bench.act(image, revision, action)).review.revision

    objects = timed("open for the first time", lambda: bench.show(image)).review.draft.objects
    key = next(each.key for each in objects if not each.crowd)
    x0, y0, x1, y1 = record.boxes[key].tolist()
    for step in range(1, _CHANGES + 1):
        act("change a box", Change(do="change", key=key, box=(max(x0 - 2 * step, 0), max(y0 - 2 * step, 0), x1, y1)))
    before = record.height * int((x0 + x1) / 2) + int((y0 + y1) / 2)  # pixels, column by column
    act("paint a stroke", Paint(do="paint", key=key, runs=[before, 10, record.width * record.height - before - 10]))
    act("accept", SetState(do="state", state="accepted"))


if __name__ == "__main__":
    main()
