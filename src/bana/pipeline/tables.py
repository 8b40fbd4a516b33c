"""What a person reads of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from bana.evaluate.tables import shown
from bana.pipeline.run import PICTURE, PipelineRun
from bana.segment.model import SEGMENTER

_STEPS = {
    "classify": "box classifier trained",
    "labels": "pixels labeled",
    "segment": "network trained on the labels",
    "evaluate labels": "labels scored",
    "evaluate": "network scored",
    "picture": "picture drawn",
}


def run_tables(run: PipelineRun) -> Iterator[RenderableType]:
    """The summary, and where things are."""
    table = Table("step", title=f"{run.out}: {len(run.dataset)} images", title_justify="left")
    table.add_column("seconds", justify="right")
    table.add_column("now")
    for name, what in _STEPS.items():
        if name in run.seconds:
            table.add_row(what, f"{run.seconds[name]:.0f}", "unchanged" if name in run.skipped else "done")
    yield table
    if run.network is not None:
        yield _scores(run, run.network)
    else:
        yield "No scores: not every image has a true mask; name a split that has them with --val-split"
    yield f"Network: {run.out / 'segment' / SEGMENTER.file_name}"
    yield f"Picture: {run.out / PICTURE}"
    yield f"A page of all images and scores: bana report {run.out}"


def _scores(run: PipelineRun, network: dict[str, Any]) -> Table:
    table = Table("mIoU, %", title=f"Scores against true masks (network: {run.scored} images)", title_justify="left")
    for heading in ("over classes", "foreground"):
        table.add_column(heading, justify="right")
    rows: dict[str, dict[str, Any]] = {}
    if run.labels is not None:
        rows |= {"boxes as masks": run.labels["box"], "labels (Y_crf)": run.labels["y_crf"]}
    rows |= {"network, without boxes": network["plain"], "  with the CRF": network["crf"]}
    for name, scores in rows.items():
        table.add_row(name, shown(scores["miou"]), shown(scores["binary_miou"]))
    return table
