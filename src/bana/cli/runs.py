"""Commands that do several things in one go: demo, run, report, app."""

from __future__ import annotations

from pathlib import Path

import bana
from bana.cli import options as o
from bana.cli.common import arguments, exit_if_rejected, show
from bana.cli.tables.runs import demo_tables, run_tables
from bana.io.faults import REJECTED


def demo(
    out: o.DemoOut = Path("bana-demo"),
    labeler: o.Labeler = None,
    workers: o.Workers = None,
    as_json: o.Json = False,
) -> None:
    """Label the photographs that come with bana, score the masks, and draw a picture of them."""
    result = bana.demo(**arguments(locals()))
    show(result, as_json, lambda: demo_tables(result))


def run(
    data: o.DataOrDemo,
    out: o.RunFolder,
    split: o.Split = None,
    val_split: o.RunValSplit = None,
    preset: o.RunPreset = None,
    format: o.Format = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = None,
    epochs: o.NetworkEpochs = None,
    load_workers: o.StageLoadWorkers = 0,
    workers: o.Workers = None,
    on_error: o.OnError = "stop",
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Go from boxes to a trained network: classify, label, segment, evaluate.

    Interrupted? Run the same command again. Finished stages are skipped.
    """
    result = bana.run(**arguments(locals()))
    show(result, as_json, lambda: run_tables(result))
    exit_if_rejected(result.rejected, out / "labels" / REJECTED)


def report(
    run: o.Reported,
    out: o.PageOut = None,
    data: o.LabeledData = None,
    split: o.Split = None,
    images: o.GalleryImages = 500,
    thumbnail_size: o.ThumbnailSize = 480,
    format: o.Format = None,
    workers: o.Workers = None,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Write one HTML page: scores, training, confidence, and a gallery of images and their labels."""
    page = bana.report(**arguments(locals()))
    show(page, as_json, lambda: [f"{page.file} ({page.shown} of {page.images} images, {page.megabytes} MB)"])


def app(
    data: o.DataOrDemo,
    split: o.Split = None,
    labels: o.AppLabels = None,
    labeler: o.Labeler = None,
    port: o.Port = 8008,
    browser: o.Browser = True,
    read_only: o.ReadOnly = False,
    format: o.Format = None,
    device: o.Device = "cpu",
    on_error: o.OnError = "stop",
) -> None:
    """Look at labels in a browser, correct boxes and masks, accept or reject them, and export."""
    bana.app(**arguments(locals()))
