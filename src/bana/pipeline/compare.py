"""`bana compare`: all methods to label on one data set with true masks (the paper's Table 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bana.data.label_folder import LabeledBox, LabelFolder, is_complete
from bana.data.label_maps import LabelMap
from bana.data.masks import decode_mask, encode_mask
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.engine.progress import StepProgress
from bana.engine.run_folder import versions
from bana.engine.seeds import shuffled
from bana.errors import DataError, SettingsError
from bana.evaluate.filling_rates import FillingRates, class_masks
from bana.evaluate.folder import InstanceEvaluation, LabelingEvaluation
from bana.evaluate.scores import scores_as_dict
from bana.io.locking import exclusive
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.pipeline.methods import Method, method_of
from bana.pipeline.steps import Steps, content_digest


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        dataset: The images that were compared on.
        methods: The methods by name, in order.
        scores: Scores by name, as plain values: ``miou``, ``miou_of_all``, ``boundary_iou``, ``ignored_share``, ...,
            ``instances`` (mask AP or None) and ``filling_rates``.
        costs: Costs by method: ``seconds_per_image`` and ``peak_memory`` (bytes) of one process; None if not measured.
        true_filling_rates: Filling rates of the true objects, by class name.
        unavailable: Methods of ``all`` that are not available here, and why.
        pictures: Files that show the comparison.
    """

    dataset: BoxDataset
    methods: Mapping[str, Method]
    scores: Mapping[str, Mapping[str, Any]]
    costs: Mapping[str, Mapping[str, Any]]
    true_filling_rates: Mapping[str, Sequence[float]]
    unavailable: Mapping[str, str]
    pictures: tuple[Path, ...] = ()

    def cost(self, name: str, of: str) -> float | None:
        """``seconds_per_image`` over all that a method needs, or the greatest ``peak_memory``; None if not measured."""
        values = [self.costs[method][of] for method in self.methods[name].needs]
        if None in values:
            return None
        return float(max(values) if of == "peak_memory" else sum(values))

    def as_dict(self) -> dict[str, Any]:
        """The comparison for JSON."""
        rows = {
            name: {
                "title": method.title,
                "paper": {"train": method.paper[0], "val": method.paper[1]},
                **self.scores[name],
                "seconds_per_image": self.cost(name, "seconds_per_image"),
                "peak_memory": self.cost(name, "peak_memory"),
            }
            for name, method in self.methods.items()
        }
        return {
            "images": len(self.dataset),
            "rows": rows,
            "true_filling_rates": dict(self.true_filling_rates),
            "unavailable": dict(self.unavailable),
            "pictures": [str(path) for path in self.pictures],
        }


def sampled(dataset: BoxDataset, count: int, seed: int) -> BoxDataset:
    """So many images of a data set, chosen at random, in its order; all where it has no more."""
    chosen = shuffled(len(dataset), seed, "sample")[:count]
    return replace(dataset, records=tuple(dataset[index] for index in sorted(chosen)))


def with_truth(dataset: BoxDataset, masks: Mapping[str, Path]) -> BoxDataset:
    """A data set with other true masks, label maps by image id. Raises DataError if an image has none."""
    missing = [record.image_id for record in dataset if record.image_id not in masks]
    if missing:
        raise DataError(
            f"{dataset.root}: {len(missing)} images have no true mask, the first: {missing[0]}; add {missing[0]}.png"
        )
    records = [
        replace(each, semantic_path=masks[each.image_id], instance_path=None, segmentations=(None,) * len(each))
        for each in dataset
    ]
    return replace(dataset, records=tuple(records))


def available(names: Sequence[str], choice: MethodChoice, classes: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The names of the available methods, and why the others are not."""
    possible, reasons = [], {}
    for name in names:
        try:
            for method in method_of(name).needs:
                part = replace(choice, name=method)
                part.facts()
                part.open(classes, threads=1)
            possible.append(name)
        except SettingsError as error:
            reasons[name] = str(error)
    return possible, reasons


@exclusive
def compare_methods(
    dataset: BoxDataset,
    names: Sequence[str],
    choice: MethodChoice,
    out: Path,
    *,
    unavailable: Mapping[str, str] | None = None,
    workers: int,
    console: Console,
) -> Comparison:
    """Label with every method and score every method, each only where it is not done yet.

    Args:
        dataset: Images with boxes and true masks, which only score.
        names: Methods, or ``fuse:A,B``.
        choice: Files and options of the methods; its name does not count.
        out: Gets a label folder a method, ``run.json`` and ``timings.json``.
        unavailable: Methods that are not available, and why, for the result.
        workers: Number of processes that label.
        console: Shows progress.

    Raises:
        DataError: If an image has no true mask, or cannot be used.
        CheckpointError: If a labeler or network is missing or damaged.
        OutputError: If ``out`` cannot be written, or holds folders that no comparison has made.
        SettingsError: If a method is not known, or needs a file or package that is not there.
    """
    methods = {name: method_of(name) for name in names}
    needed = dict.fromkeys(each for method in methods.values() for each in method.needs)
    facts = {"versions": versions(), "images": len(dataset), "data": content_digest(dataset)}
    steps = Steps(out, facts, [_folder(each) for each in needed], console)
    truth = _true_rates(steps, dataset)  # a mask that is missing is found before hours of labeling
    costs = {each: _labeled(steps, dataset, replace(choice, name=each), workers) for each in needed}
    folders = {each: LabelFolder(out / _folder(each)) for each in needed}
    scores = {}
    for name, method in methods.items():
        scores[name] = _scored(steps, name, method, [folders[each] for each in method.needs], dataset)
    return Comparison(dataset, methods, scores, costs, truth, unavailable or {})


def labels_of(method: Method, folders: Sequence[LabelFolder], record: ImageRecord) -> LabelMap:
    """The labels of an image by one method: (H, W), the ignore label where it leaves a pixel open."""
    if len(folders) == 1:
        return folders[0].label_map(method.part, record)
    first, second = (folder.label_map("y_crf", record) for folder in folders)
    return np.where(first == second, first, np.iinfo(first.dtype).max)


def folders_of(method: Method, out: Path) -> list[LabelFolder]:
    """The label folders of a method, in a comparison's folder."""
    return [LabelFolder(out / _folder(each)) for each in method.needs]


def _folder(method: str) -> str:
    return f"labels-{method}"


def _labeled(steps: Steps, dataset: BoxDataset, choice: MethodChoice, workers: int) -> dict[str, Any]:
    """Label the images with one method; what it cost."""

    def work(folder: Path) -> dict[str, Any]:
        run = label_dataset(dataset, choice, folder, workers=workers, console=steps.console)
        return {"seconds_per_image": run.seconds_per_image, "peak_memory": run.peak_memory}

    depends = [content_digest(dataset), choice.facts()]
    return steps.do(_folder(choice.name), depends, work, lambda folder: is_complete(folder, dataset))


def _true_rates(steps: Steps, dataset: BoxDataset) -> dict[str, list[float]]:
    def work(_: Path) -> dict[str, Any]:
        rates = FillingRates()
        for record in dataset:
            rates.update_truth(record, dataset.class_table)
        return _by_name(rates, dataset)

    return steps.do("true filling rates", [content_digest(dataset)], work)


def _scored(
    steps: Steps, name: str, method: Method, folders: Sequence[LabelFolder], dataset: BoxDataset
) -> dict[str, Any]:
    depends = [content_digest(dataset), method.part, [folder.labeling for folder in folders]]
    return steps.do(f"score {name}", depends, lambda _: score_method(method, folders, dataset, steps.console))


def score_method(
    method: Method, folders: Sequence[LabelFolder], dataset: BoxDataset, console: Console
) -> dict[str, Any]:
    """Scores of one method against the true masks, as plain values.

    Masks of boxes are those that the method gave; where a method is a part of labels, these, cut by the boxes.
    """
    table = dataset.class_table
    evaluation = LabelingEvaluation(table, boundary=method.part != "agreed")
    instances, rates = InstanceEvaluation(table), FillingRates()
    with closing(StepProgress("scoring", len(dataset), console)) as progress:
        for number, record in enumerate(dataset):
            labels = labels_of(method, folders, record)
            evaluation.update(labels, required_truth(record, table))
            if method.uses_boxes:
                boxes = folders[0].boxes(record)
                if method.part == "y_crf":
                    masks = [decode_mask(box.mask, record.height, record.width) for box in boxes]
                else:
                    masks = class_masks(record, labels)
                    boxes = tuple(map(_with_mask, boxes, masks))
                instances.update(boxes, record)
                rates.update(record, masks)
            progress.update(number, 1, {})
    classes = ("background", *dataset.classes)
    return {
        **evaluation.scores().as_dict(classes),
        "instances": scores_as_dict(instances.ap.scores(), classes) if method.uses_boxes else None,
        "filling_rates": _by_name(rates, dataset),
    }


def _with_mask(box: LabeledBox, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> LabeledBox:
    status = box.status if box.status == "rejected" else "ok" if mask.any() else "empty"
    return replace(box, mask=encode_mask(mask), status=status)


def _by_name(rates: FillingRates, dataset: BoxDataset) -> dict[str, list[float]]:
    return {
        dataset.classes[class_id - 1]: [round(rate, 4) for rate in rates.rates[class_id]]
        for class_id in sorted(rates.rates)
    }
