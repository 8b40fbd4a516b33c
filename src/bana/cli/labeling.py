"""Commands about labels: label, merge, tune."""

from __future__ import annotations

import typer

import bana
from bana.cli import options as o
from bana.cli.common import arguments, exit_if_rejected, export_names, is_shard, show
from bana.cli.tables.labels import label_lines, tune_tables
from bana.io.faults import REJECTED


def label(
    data: o.DataOrAddress,
    out: o.LabelsOut,
    split: o.Split = None,
    method: o.Method = "labeler",
    labeler: o.Labelers = None,
    sam_encoder: o.SamEncoder = None,
    sam_decoder: o.SamDecoder = None,
    preset: o.LabelPreset = None,
    settings: o.Set = None,
    formats: o.LabelFormats = "png",
    images: o.FormatImages = "none",
    tile: o.Tile = "auto",
    refine: o.Refine = None,
    u0: o.U0 = None,
    refinements: o.Refinements = None,
    format: o.Format = None,
    warm_start: o.WarmStart = False,
    preview: o.Preview = False,
    shard: o.ShardOption = None,
    workers: o.Workers = None,
    device: o.Device = "cpu",
    engine: o.Engine = "local",
    on_error: o.OnError = "stop",
    strict: o.Strict = False,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Label every pixel of every image from its boxes (stage 2)."""
    run = bana.label(**arguments(locals()) | {"formats": export_names(formats)})
    show(run, as_json, lambda: label_lines(run, out, images, preview=preview))
    if run.rejected and not is_shard(shard):  # bana merge tells of the images that a shard left out
        raise typer.Exit(1)


def merge(shards: o.Shards, out: o.MergedOut, as_json: o.Json = False) -> None:
    """Merge the labels of shards into one folder."""
    run = bana.merge(**arguments(locals()))
    show(run, as_json, lambda: [f"{out}: labels of {run.images} images"])
    exit_if_rejected(run.rejected, out / REJECTED)


def tune(
    data: o.DataWithMasks,
    out: o.TuneOut,
    split: o.Split = None,
    labeler: o.Labeler = None,
    images: o.TuneImages = 100,
    trials: o.Trials = 60,
    search: o.Search = "grid",
    seed: o.Seed = 0,
    workers: o.Workers = None,
    format: o.Format = None,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Search for the best CRF settings and threshold on images with true masks.

    Interrupted? Run the same command again.
    """
    run = bana.tune(**arguments(locals()))
    show(run, as_json, lambda: tune_tables(run, out))
