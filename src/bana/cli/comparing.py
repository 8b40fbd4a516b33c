"""Commands that measure: compare, reproduce."""

from __future__ import annotations

import bana
from bana.cli import options as o
from bana.cli.common import arguments, show, split_names
from bana.cli.tables.comparing import comparison_tables, reproduction_tables


def compare(
    data: o.DataWithMasks,
    out: o.CompareOut,
    split: o.Split = None,
    methods: o.Methods = "all",
    truth: o.Truth = None,
    labeler: o.Labelers = None,
    sam_encoder: o.SamEncoder = None,
    sam_decoder: o.SamDecoder = None,
    preset: o.LabelPreset = None,
    settings: o.Set = None,
    max_images: o.MaxImages = None,
    seed: o.Seed = 0,
    format: o.Format = None,
    device: o.Device = "cpu",
    workers: o.Workers = None,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Compare methods of labeling on your own data with true masks, as the paper's Table 1 does."""
    options = arguments(locals()) | {"methods": None if methods == "all" else split_names(methods)}
    result = bana.compare(**options)
    show(result, as_json, lambda: comparison_tables(result, options, settings or ()))


def reproduce(
    table: o.Table,
    data: o.DataWithMasks,
    out: o.TablesOut,
    labeler: o.OtherLabeler = None,
    preset: o.TablePreset = None,
    split: o.TrainSplit = None,
    val_split: o.TableValSplit = None,
    rows: o.Rows = None,
    seeds: o.Seeds = 1,
    mask_share: o.MaskShare = None,
    device: o.Device = "auto",
    precision: o.Precision = None,
    load_workers: o.StageLoadWorkers = 0,
    workers: o.Workers = None,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Train and score what a table of the paper compares, and show the paper's figures beside ours.

    Interrupted? Run the same command again. Finished rows are kept.
    """
    result = bana.reproduce(**arguments(locals()) | {"rows": None if rows is None else split_names(rows)})
    show(result, as_json, lambda: reproduction_tables(result))
