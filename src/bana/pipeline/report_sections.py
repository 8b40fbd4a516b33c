"""The sections of a report, from a run's numbers: cards, tables beside the paper's, charts, confusion, details."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bana.data.check import counted
from bana.data.records import BoxDataset
from bana.engine.loop import LOG
from bana.errors import SettingsError
from bana.evaluate import ConfusionMatrix
from bana.io.strict_json import read_json_object
from bana.pipeline.methods import method_of
from bana.pipeline.object_rows import FIGURES, OBJECT_TABLES
from bana.pipeline.rows import ROWS, TABLES
from bana.pipeline.steps import TIMINGS
from bana.report.numbers import TITLES, shown
from bana.report.page.charts import calibration_svg, curve_svg, violins_svg
from bana.report.page.images import Totals
from bana.report.page.page import Card, Chart, Confusion, Table

Scores = Mapping[str, Any]

_MAX_CONFUSED = 20
"""Classes of a confusion matrix; more cannot be read."""

_METHODS = {"box": "box", "y_crf": "bap", "y_ret": "ret", "agreed": "bap+ret"}
"""Which row of the paper's Table 1 each labeling is."""

_PAPER_OBJECTS = {
    "other-bap": "Y_crf, labeler of VOC",
    "other-ret": "Y_ret, labeler of VOC",
    "own-bap": "Y_crf, labeler of MS-COCO",
    "own-ret": "Y_ret, labeler of MS-COCO",
}
"""Rows of the paper's Table 2."""


def cards_of(
    dataset: BoxDataset, totals: Totals, uncertain: Sequence[float], labels: Scores | None, network: Scores | None
) -> list[Card]:
    """The numbers to see first."""
    boxes = sum(len(record) for record in dataset)
    agreed, inside = totals.agreed
    cards = [
        Card("images", f"{len(dataset):,}", f"{boxes:,} boxes of {len(dataset.classes)} classes"),
        Card("agreement", _percent(agreed, inside), "of the pixels in boxes: Y_crf and Y_ret are the same"),
        Card("uncertainty", _percent(sum(uncertain), len(uncertain)), "1 - confidence of boxes, mean over images"),
    ]
    if labels is not None:
        cards.append(Card("labels", f"{shown(labels['y_crf']['miou'])} %", "mIoU of Y_crf against true masks"))
        cards.append(Card("objects", f"{shown(labels['instances']['ap50'])} %", "AP50 of the boxes' masks"))
    if network is not None:
        cards.append(Card("network", f"{shown(network['crf']['miou'])} %", "mIoU without boxes, with the CRF"))
    return cards


def data_tables(dataset: BoxDataset, totals: Totals, labels: Scores | None, network: Scores | None) -> list[Table]:
    """What is in the data set, and every class that has boxes."""
    contents = counted(dataset, dataset.records)
    quartiles = ("smallest", "quarter", "median", "three quarters", "largest")
    sizes = [
        [name, *(f"{value:.0f}" for value in values)]
        for name, values in (("images", contents.image_sides), ("boxes", contents.box_sides))
        if values
    ]
    facts = [
        ["pixels outside all boxes", f"{100 * contents.background_share:.1f} %"],
        ["images without boxes", str(contents.without_boxes)],
        ["images that boxes cover wholly", str(contents.all_covered)],
        ["images with less than 1/8 background", str(contents.little_background)],
        ["difficult objects", str(contents.difficult)],
        ["crowd regions", str(contents.crowd)],
        ["objects with a true mask of their own", str(contents.masks)],
        ["images with a true label map", str(contents.label_maps)],
    ]
    return [
        Table("Contents", ["what", "how many"], facts),
        Table("Sizes: square root of the area, pixels", ["of", *quartiles], sizes),
        _class_table(contents.classes, totals, labels, network),
    ]


def _class_table(classes: Sequence[Any], totals: Totals, labels: Scores | None, network: Scores | None) -> Table:
    columns: dict[str, Mapping[str, float | None]] = {}
    if labels is not None:
        columns["IoU of labels"] = labels["y_crf"]["per_class"]
    if network is not None:
        columns["IoU of network"] = network["crf"]["per_class"]
    rows = []
    for class_id, each in enumerate(classes, start=1):
        if each.boxes:
            rates = totals.rates.rates.get(class_id, [])
            filled = f"{100 * np.mean(rates):.0f} %" if rates else "-"
            scores = [shown(column.get(each.name)) for column in columns.values()]
            rows.append([each.name, f"{each.boxes:,}", f"{each.images:,}", filled, *scores])
    headings = ["class", "boxes", "images", "fills its box", *columns]
    return Table("Classes", headings, rows, "Fills its box: the mean share of a box that its mask has. IoU in %.")


def paper_tables(labels: Scores | None, network: Scores | None, manifest: Mapping[str, Any]) -> list[Table]:
    """The paper's tables 1 to 3 with this run beside its figures."""
    tables = []
    if labels is not None:
        tables += [_table1(labels), _table2(labels["instances"])]
    if network is not None:
        tables.append(_table3(network, manifest["settings"]["segment"]["loss"]))
    if not tables:
        return [Table("No scores: not every image has a true mask", ["labels"], [])]
    return tables


def _table1(labels: Scores) -> Table:
    rows = []
    for part, name in _METHODS.items():
        scores = labels[part]
        ours = [shown(scores[each]) for each in ("miou", "miou_of_all", "ignored_share", "binary_miou")]
        rows.append([TITLES[part], *ours, *map(shown, method_of(name).paper)])
    return Table(
        "Table 1: labels, mIoU in %",
        ["labels", "mIoU", "of all pixels", "left out", "object or not", "paper, train", "paper, val"],
        rows,
        "Paper: PASCAL VOC 2012, a VGG-16 trained on all of it. The other figures are of this data.",
    )


def _table2(instances: Scores) -> Table:
    paper = OBJECT_TABLES["table2"]
    rows = [["this run", *(shown(instances[each]) for each in FIGURES)]]
    for name, title in _PAPER_OBJECTS.items():
        rows.append([f"paper, {title}", *map(shown, paper[name].paper or ())])
    return Table(
        "Table 2: masks of boxes, AP in %",
        ["masks", "AP", "AP50", "AP75", "small", "medium", "large"],
        rows,
        "Paper: train images of MS-COCO. A box's score is its confidence.",
    )


def _table3(network: Scores, loss: str) -> Table:
    rows = []
    for name, paper in TABLES["table3"].items():
        mine = ROWS[name].loss == loss and ROWS[name].source == "labels"
        ours = [shown(network[each]["miou"]) if mine else "" for each in ("plain", "crf")]
        if any(ours) or any(figure is not None for figure in paper):
            rows.append([ROWS[name].title, *ours, *map(shown, paper)])
    return Table(
        "Table 3: networks trained on the labels, mIoU in %",
        ["loss", "this run", "with CRF", "paper", "paper, with CRF"],
        rows,
        "Paper: DeepLab-V1 with VGG-16 on PASCAL VOC 2012 val.",
    )


def charts_of(folder: Path, dataset: BoxDataset, totals: Totals) -> dict[str, list[Chart]]:
    """Training curves, filling rates and calibration, by section; sections without a chart are left out."""
    charts = {
        "Training": _training(folder),
        "Filling rates": _violins(dataset, totals),
        "Calibration": _calibration(totals),
    }
    return {section: found for section, found in charts.items() if found}


def _training(folder: Path) -> list[Chart]:
    charts = []
    for stage, title, others in (
        ("classify", "Box classifier (stage 1)", {"accuracy": "accuracy of boxes"}),
        ("segment", "Segmentation network (stage 3)", {"sigma": "mean sigma of unreliable pixels"}),
    ):
        entries = _log(folder / stage / LOG)
        for key, what in ({"loss": "loss"} | others | {"miou": "mIoU on validation, %"}).items():
            points = [(entry["step"], entry[key]) for entry in entries if isinstance(entry.get(key), int | float)]
            if len(points) > 1:
                name = f"{title}: {what}"
                charts.append(Chart(name, curve_svg(f"{stage}-{key}", points, x="step", y=what, title=name)))
    return charts


def _log(file: Path) -> list[dict[str, Any]]:
    """The entries of a training's log; none if there is no log, and no torn last line."""
    entries = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
    return entries


def _violins(dataset: BoxDataset, totals: Totals) -> list[Chart]:
    rates = {
        name: {dataset.classes[class_id - 1]: values for class_id, values in found.rates.items()}
        for name, found in (("truth", totals.true_rates), ("labels", totals.rates))
        if found.rates
    }
    title = "The share of a box that its object fills, by class"
    try:
        return [Chart(title, violins_svg("filling", rates, title=title), "In brackets: boxes.")] if rates else []
    except SettingsError:  # too few boxes
        return []


def _calibration(totals: Totals) -> list[Chart]:
    bins = totals.calibration.bins()
    if not bins:
        return []
    error = 100 * totals.calibration.expected_error()
    note = (
        f"Pixels in boxes, by confidence; large dots hold many. Expected calibration error {error:.1f} %. "
        "Above the dotted line labels are better than their confidence says."
    )
    title = "How often labels are right, by their confidence"
    return [Chart(title, calibration_svg("calibration", bins, title=title), note)]


def confusions_of(totals: Totals, dataset: BoxDataset) -> list[Confusion]:
    """Confusion of labels, and of the network on the gallery's images, where there are true masks."""
    titles = {"Labels (Y_crf)": totals.labels, "Network, one scale, on the images of the gallery": totals.network}
    names = ("background", *dataset.classes)
    return [_confusion(title, matrix, names) for title, matrix in titles.items() if matrix.counts.any()]


def _confusion(title: str, matrix: ConfusionMatrix, names: Sequence[str]) -> Confusion:
    true = matrix.counts.sum(axis=1)
    kept = sorted(np.argsort(-true, kind="stable")[:_MAX_CONFUSED].tolist())
    kept = [place for place in kept if true[place]]
    shares = matrix.counts[kept][:, kept] / true[kept, None]
    left = int((true > 0).sum()) - len(kept)
    note = "Share of each true class's pixels, %."
    if left:
        note += f" The {len(kept)} classes of most pixels; {left} are left out."
    return Confusion(title, [names[place] for place in kept], shares.tolist(), note)


def details_of(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """What a run was: settings, versions and seed, and how long its steps took."""
    names = ("seed", "versions", "labeler", "settings")
    parts = {name: manifest[name] for name in names if manifest.get(name) is not None}
    if (folder / TIMINGS).is_file():
        parts["seconds of each step"] = read_json_object(folder / TIMINGS)
    return {name: json.dumps(value, indent=2, ensure_ascii=False) for name, value in parts.items()}


def _percent(part: float, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
