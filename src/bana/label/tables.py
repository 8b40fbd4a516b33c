"""What a person reads of a labelling run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bana.label.run import LabelRun


def label_run_lines(run: LabelRun, out: Path) -> Iterator[str]:
    """The run in a few lines."""
    speed = f", {run.labelled / run.seconds:.2f} images/s" if run.labelled and run.seconds else ""
    now = f"{run.labelled} labelled now in {run.seconds:.0f} s{speed}"
    yield f"{out}: {run.images} images with {run.boxes} boxes; {now}"
    if run.rejected:
        yield f"{len(run.rejected)} images left out: see {out / 'rejected.jsonl'}"
    if run.without_weights:
        yield f"classes that the labeler does not know, labelled through 1 - A: {', '.join(run.without_weights)}"
    for name, losses in run.lost.items():
        for what, count in losses.items():
            yield f"{name} cannot hold {what}: lost of {count}"
