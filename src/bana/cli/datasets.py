"""Commands about data sets: check, convert, evaluate."""

from __future__ import annotations

import typer

import bana
from bana.cli import options as o
from bana.cli.common import arguments, show
from bana.cli.tables.datasets import check_tables, conversion_lines
from bana.cli.tables.scores import score_tables


def check(
    data: o.Data,
    split: o.Split = None,
    labels: o.CheckedLabels = None,
    format: o.Format = None,
    strict: o.Strict = False,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Open every image and annotation, and show the contents and faults of a data set.

    The exit status is 1 if there are faults.
    """
    report = bana.check(**arguments(locals()))
    show(report, as_json, lambda: check_tables(report))
    raise typer.Exit(int(bool(report.faults)))


def convert(
    source: o.Source,
    out: o.OutArgument,
    to: o.TargetFormat,
    format: o.SourceFormat = None,
    splits: o.Splits = None,
    polygons: o.Polygons = False,
    tolerance: o.Tolerance = 0.0,
    max_points: o.MaxPoints = None,
    images: o.ImageMode = "copy",
    overwrite: o.Overwrite = False,
    on_error: o.OnError = "stop",
    strict: o.Strict = False,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Convert a data set to another format, and say what that format cannot hold."""
    conversion = bana.convert(**arguments(locals()) | {"splits": splits or ()})
    show(conversion, as_json, lambda: conversion_lines(conversion, out))
    raise typer.Exit(int(bool(conversion.rejected)))


def evaluate(
    results: o.Results,
    data: o.DataWithMasks,
    split: o.Split = None,
    format: o.Format = None,
    boundary: o.Boundary = True,
    follow_links: o.FollowLinks = False,
    as_json: o.Json = False,
) -> None:
    """Score labels or predictions against true masks.

    Labels get mIoU, boundary IoU, mask AP and box accuracy. Segmentations get mIoU and boundary IoU. Results of
    instance segmentation get COCO's twelve numbers.
    """
    scores = bana.evaluate(**arguments(locals()))
    show(scores, as_json, lambda: score_tables(scores))
