"""`bana reproduce table1`: the paper's comparison of labels, each method with a classifier of its own kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bana.data.records import BoxDataset
from bana.engine.distributed import RuntimeConfig
from bana.io.locking import exclusive
from bana.label.methods.choose import MethodChoice
from bana.pipeline.compare import available, compare_methods
from bana.pipeline.context import PipelineContext
from bana.pipeline.methods import TABLE1
from bana.pipeline.steps import MANIFEST, read_manifest
from bana.pipeline.study import Reproduction, Study
from bana.segment.validation import check_truth


@exclusive
def reproduce_methods(
    study: Study,
    out: Path,
    *,
    scored: Mapping[str, BoxDataset],
    choose: bool,
    seed: int = 0,
    runtime: RuntimeConfig,
    workers: int,
    console: Console,
) -> Reproduction:
    """Train the classifiers, label with every method, and score the labels, as far as it is not done yet.

    Args:
        study: The images to learn from, the recipe, and the rows.
        out: Gets the classifiers, and a folder for each scored split.
        scored: Images with boxes and true masks, by the name of their split.
        choose: Whether rows that cannot be made here, for want of a package, are left out.
        seed: Random seed of the classifiers.
        runtime: Device and options of training.
        workers: Number of processes that label.
        console: Shows progress.

    Raises:
        DataError: If a scored image has no true mask, or an image cannot be used.
        OutputError: If ``out`` holds runs with another recipe or other images, or cannot be written.
        SettingsError: If a row is not of the table, or a method, backbone or device cannot be had.
    """
    study.check_rows()
    for dataset in scored.values():
        check_truth(dataset, study.dataset)
    folders = ["classify", "classify-gap", "classify-image", "affinity"]
    context = study.open(out, folders, seed, runtime, workers, console)
    choice = MethodChoice(labelers=_classifiers(context, study), device=runtime.device)
    names, missing = available(study.rows, choice, study.dataset.classes) if choose else (study.rows, {})
    for split, dataset in scored.items():
        compare_methods(dataset, names, choice, out / split, workers=workers, console=console)
    return Reproduction(study.table, _figures(out, list(scored)), missing)


def _figures(out: Path, splits: Sequence[str]) -> dict[str, dict[int, dict[str, float | None]]]:
    """The mIoU of all rows that were made, now or before, by split."""
    ours: dict[str, dict[int, dict[str, float | None]]] = {}
    for split in splits:
        _, steps = read_manifest(out / split / MANIFEST)
        for name in TABLE1:
            state = steps.get(f"score {name}", {})
            if state.get("done"):
                ours.setdefault(name, {0: {}})[0][split] = state["facts"]["miou"]
    return ours


def _classifiers(context: PipelineContext, study: Study) -> dict[str, Path]:
    """The classifiers that the rows need, by method; "" is the recipe's own."""
    labelers = {"": context.classify(study.dataset)}
    if "gap" in study.rows:
        labelers["gap"] = context.classify(study.dataset, "gap")
    if {"cam", "affinity"} & set(study.rows):
        labelers["cam"] = context.classify(study.dataset, "image")
    if "affinity" in study.rows:
        labelers["affinity"] = context.affinity(study.dataset, labelers["cam"])
    return labelers
