"""Tables and lines about labeling, tuning and prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from bana.cli.tables.table import Column, FittedTable
from bana.report.numbers import shown

if TYPE_CHECKING:
    from bana.engine.prediction import PredictRun
    from bana.label.run import LabelRun
    from bana.label.tune import TuneRun


def label_lines(run: LabelRun, out: str, images: str, *, preview: bool = False) -> Iterator[str]:
    """The run in a few lines."""
    from bana.data.formats import GEO
    from bana.data.writing import lost_sentence

    speed = f", {run.labeled / run.seconds:.2f} images/s" if run.labeled and run.seconds else ""
    now = f"{run.labeled} labeled now in {run.seconds:.0f} s{speed}"
    yield f"{out}: {run.images} images with {run.boxes} boxes; {now}"
    if run.rejected:
        yield f"{len(run.rejected)} images left out: see {out}/rejected.jsonl"
    if run.empty:
        yield f"{run.empty} boxes got an empty mask: status empty in {out}/instances"
    if run.notes:
        kinds = [f"{count} {kind}" for kind, count in sorted(run.notes.items())]
        yield f"Reading the data set, bana found faults ({', '.join(kinds)}); bana check lists them"
    if run.without_weights:
        yield f"classes that the labeler does not know, labeled class-agnostically: {', '.join(run.without_weights)}"
    for name, losses in run.lost.items():
        if losses:
            yield lost_sentence(name, losses)
    if preview:
        yield f"{out}/preview: a video of each video's masks"
    without = [name for name in run.lost if name != GEO]
    if without and images == "none":
        folders = ", ".join(f"{out}/{name}" for name in without)
        yield f"{folders}: annotations without images; to add them, run again with --images copy or --images link"


def prediction_lines(run: PredictRun, out: Path) -> Iterator[str]:
    """Where the predictions are, and how many were made now."""
    from bana.data.prediction_folder import RESULTS
    from bana.engine.prediction import NEARLY_EMPTY

    objects = (out / RESULTS).is_file()
    place, what = (out / RESULTS, "searched") if objects else (out, "segmented")
    line = f"{place}: {run.images} pictures, {run.predicted} {what} now in {run.seconds:.0f} s"
    if run.nearly_empty:
        line += f"; {run.nearly_empty} nearly empty: objects on less than {NEARLY_EMPTY:.1%} of the pixels"
    yield line


def tune_tables(run: TuneRun, out: Path) -> Iterator[RenderableType]:
    """The settings before and after a search, what it gained, and where its labeler is."""
    from bana.classify.model import LABELER

    before, after = run.before, run.after
    columns = (Column("setting", text=True), Column("labeler's own"), Column("best"), Column("tried", 1, text=True))
    table = FittedTable(f"{out}: {run.trials} trials", columns)
    for parameter in run.search.parameters:
        name = parameter.name
        table.add_row(name, f"{before.values[name]:g}", f"{after.values[name]:g}", parameter.shown(run.search.method))
    yield table
    searched = f"searched on {len(run.facts['searched_images'])} images: {shown(before.searched)}"
    yield f"mIoU of Y_crf, {searched} -> {shown(after.searched)}; {_gain(run)}"
    yield f"Labeler: {out / LABELER.file_name}"


def _gain(run: TuneRun) -> str:
    if run.after.unseen is None:
        return "no images are left to measure the gain on; for that, give fewer --images"
    unseen = f"{shown(run.before.unseen)} -> {shown(run.after.unseen)}"
    return f"on {len(run.facts['unseen_images'])} images it did not see: {unseen}"
