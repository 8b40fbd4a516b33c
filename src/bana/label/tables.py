"""What a person reads of a labeling run, and of a search for its settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from bana.classify.model import LABELER
from bana.data.writing import lost_sentence
from bana.evaluate.tables import shown
from bana.io.remote import AnyPath
from bana.label.run import LabelRun
from bana.label.tune import TuneRun


def label_run_lines(run: LabelRun, out: AnyPath) -> Iterator[str]:
    """The run in a few lines."""
    speed = f", {run.labeled / run.seconds:.2f} images/s" if run.labeled and run.seconds else ""
    now = f"{run.labeled} labeled now in {run.seconds:.0f} s{speed}"
    yield f"{out}: {run.images} images with {run.boxes} boxes; {now}"
    if run.rejected:
        yield f"{len(run.rejected)} images left out: see {out / 'rejected.jsonl'}"
    if run.without_weights:
        yield f"classes that the labeler does not know, labeled through 1 - A: {', '.join(run.without_weights)}"
    for name, losses in run.lost.items():
        if losses:
            yield lost_sentence(name, losses)


def tune_table(run: TuneRun, out: Path) -> Table:
    """The settings before and after a search."""
    before, after = run.before, run.after
    table = Table("setting", title=f"{out}: {run.trials} trials", title_justify="left")
    for heading in ("labeler's own", "best"):
        table.add_column(heading, justify="right")
    table.add_column("tried")
    for parameter in run.search.parameters:
        name = parameter.name
        table.add_row(name, f"{before.values[name]:g}", f"{after.values[name]:g}", parameter.shown(run.search.method))
    return table


def tune_lines(run: TuneRun, out: Path) -> Iterator[str]:
    """What a search gained, and where its labeler is."""
    before, after = run.before, run.after
    searched = f"searched on {len(run.facts['searched_images'])} images: {shown(before.searched)}"
    yield f"mIoU of Y_crf, {searched} -> {shown(after.searched)}; {_gain(run)}"
    yield f"Labeler: {out / LABELER.file_name}"


def _gain(run: TuneRun) -> str:
    if run.after.unseen is None:
        return "no other images tell how much of that holds on images it did not see; for that, give fewer --images"
    unseen = f"{shown(run.before.unseen)} -> {shown(run.after.unseen)}"
    return f"on {len(run.facts['unseen_images'])} images it did not see: {unseen}"
