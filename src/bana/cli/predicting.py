"""Commands that use a trained network: predict, export."""

from __future__ import annotations

import bana
from bana.cli import options as o
from bana.cli.common import arguments, exit_if_rejected, show, split_names
from bana.cli.tables.labels import prediction_lines
from bana.io.faults import REJECTED


def predict(
    run: o.Network,
    images: o.Images,
    out: o.PredictOut,
    split: o.PredictSplit = None,
    format: o.Format = None,
    scales: o.Scales = None,
    flip: o.Flip = None,
    crf: o.Crf = None,
    overlays: o.Overlays = False,
    probabilities: o.Probabilities = False,
    export: o.PredictionExport = None,
    min_score: o.MinScore = None,
    device: o.Device = "auto",
    workers: o.Workers = None,
    on_error: o.OnError = "stop",
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Segment images that have no boxes, or find their objects, with a trained network."""
    done = bana.predict(**arguments(locals()) | {"scales": None if scales is None else split_names(scales)})
    show(done, as_json, lambda: prediction_lines(done, out))
    exit_if_rejected(len(done.rejected), out / REJECTED)


def export(run: o.Network, to: o.ExportFormat, out: o.ExportOut = None, as_json: o.Json = False) -> None:
    """Write a segmentation network for other programs, and check that it computes the same there."""
    file = bana.export(run, to, out)
    size, difference = f"{file.bytes / 1e6:.1f} MB", f"{file.difference:.0e}"
    show(file, as_json, lambda: [f"{file.path}: {size}, differs from the network by at most {difference}"])
