"""Functions that train a network: classify, refine, affinity, segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from bana.api.defaults import choose_device
from bana.api.progress import AnyPath, optional_path, progress_console
from bana.classify.model import LABELER
from bana.classify.task import ClassifyTask
from bana.data.reading import read_dataset
from bana.data.records import BoxDataset
from bana.data.truth import mask_files
from bana.engine.distributed import RuntimeConfig
from bana.engine.options import RunOptions
from bana.errors import SettingsError
from bana.instance.task import InstanceTask
from bana.io.faults import OnError
from bana.io.shards import Shard
from bana.label.join import join_refiner
from bana.nn.train import train
from bana.pipeline.affinity import train_affinity
from bana.pipeline.recipe import Recipe, change_training
from bana.presets import load_preset
from bana.refine.model import REFINER
from bana.refine.task import RefineTask
from bana.report.confidence import draw_confidence
from bana.segment.task import SegmentTask


def classify(
    data: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    preset: str = "lite0",
    labels: AnyPath | None = None,
    labeler: AnyPath | None = None,
    format: str | None = None,
    seed: int = 0,
    device: str = "auto",
    accumulate: int = 1,
    checkpoint_seconds: float = 10.0,
    workers: int = 0,
    on_error: OnError = "stop",
    follow_links: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train a box classifier (stage 1), which then serves as a labeler.

    Call it again to go on with an interrupted run.

    Args:
        data: Images with boxes: a folder, COCO JSON file or YOLO data.yaml.
        out: The folder of the run.
        split: The split to learn from (default: the only one).
        preset: A preset's name or a YAML file.
        labels: A folder that ``label`` wrote for these images. Its agreed pixels are learned too (default: none).
        labeler: A labeler to start from, if the preset starts from one (default: bana's own labeler).
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot`` (default: detected).
        seed: Random seed.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...; ``auto`` takes a GPU if there is one.
        accumulate: Number of parts to compute a batch in, to save memory.
        checkpoint_seconds: Minimum time between two checkpoints, in seconds.
        workers: Number of processes that load images; 0 loads them in the training process.
        on_error: ``skip`` leaves out images that cannot be used and lists them in ``rejected.jsonl``.
        follow_links: Read images that symbolic links lead to outside the data set.
        quiet: Show no progress.
        **settings: Settings that differ from the preset's, such as ``epochs=3`` or ``pooling="gap"``.

    Returns:
        The labeler file.

    Raises:
        DataError: If an image cannot be used, or no image has boxes.
        CheckpointError: If a checkpoint or labeler is damaged or of another kind.
        OutputError: If ``out`` holds another run or cannot be written.
        SettingsError: If a setting is not known or not allowed.
    """
    recipe = load_preset(preset, Recipe)
    task = ClassifyTask(
        change_training(recipe.classify, settings),
        label_settings=recipe.label.model_dump(mode="json"),
        labels=optional_path(labels),
        labeler=optional_path(labeler),
    )
    run = _run_options(seed, device, accumulate, checkpoint_seconds, workers, on_error, quiet)
    return train(task, read_dataset(data, split, format, on_error, follow_links=follow_links), Path(out), run)


def refine(  # noqa: D417 - the other arguments are those of classify
    data: AnyPath,
    labels: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    preset: str = "lite0",
    labeler: AnyPath | None = None,
    format: str | None = None,
    seed: int = 0,
    device: str = "auto",
    accumulate: int = 1,
    checkpoint_seconds: float = 10.0,
    workers: int = 0,
    on_error: OnError = "stop",
    follow_links: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train a refiner (stage 2b), which gives each box a mask of its own, and join it to the labeler.

    Call it again to go on with an interrupted run. ``classify`` describes the other arguments and the errors.

    Args:
        data: Images with boxes: a folder, COCO JSON file or YOLO data.yaml.
        labels: The folder that ``label`` wrote.
        out: The folder of the run, which then serves as a labeler.
        labeler: The labeler that made the labels; the refiner is joined to it (default: bana's own labeler). If the
            preset starts from a refiner, that is this labeler's refiner, or bana's own if it has none. Call a finished
            run again with another labeler to join the refiner to that one.
        **settings: Settings that differ from the preset's, such as ``epochs=3`` or ``looseness=0.2``.

    Returns:
        The labeler file, which has the refiner.
    """
    chosen = change_training(load_preset(preset, Recipe).refine, settings)
    whole = LABELER.path(Path(labeler)) if labeler else None
    if whole is not None:
        LABELER.load_facts(whole)  # what is no labeler is refused before training, not after
    task = RefineTask(chosen, Path(labels), whole if whole and REFINER.is_in(whole) else None)
    run = _run_options(seed, device, accumulate, checkpoint_seconds, workers, on_error, quiet)
    file = train(task, read_dataset(data, split, format, on_error, follow_links=follow_links), Path(out), run)
    return join_refiner(file, whole, Path(out)) if _is_first_process() else Path(out) / LABELER.file_name


def affinity(  # noqa: D417 - the other arguments are those of classify
    data: AnyPath,
    labeler: AnyPath,
    out: AnyPath,
    *,
    split: str | None = None,
    preset: str = "lite0",
    format: str | None = None,
    seed: int = 0,
    device: str = "auto",
    accumulate: int = 1,
    checkpoint_seconds: float = 10.0,
    workers: int = 0,
    on_error: OnError = "stop",
    follow_links: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train an affinity network (AffinityNet) for the method ``affinity``, and join it to the labeler.

    First the labeler's class activations label the images, in the folder ``labels`` of the run. Then the network learns
    from the pixels on which these labels are reliable. Call it again to go on with an interrupted run. ``classify``
    describes the other arguments and the errors.

    Args:
        data: Images with boxes. Only the classes of the boxes are used.
        labeler: A run of ``classify`` with ``pooling="image"``, or its labeler file.
        out: The folder of the run, which then serves as a labeler.
        workers: Number of processes that label and then load images; 0 does both in the training process.
        **settings: Settings that differ from the preset's, such as ``epochs=3`` or ``radius=4``.

    Returns:
        The labeler file, which has the affinity network.
    """
    if Shard.of_rank() is not None:
        raise SettingsError("affinity: trains in one process; start it without torchrun")
    chosen = change_training(load_preset(preset, Recipe).affinity, settings)
    run = _run_options(seed, device, accumulate, checkpoint_seconds, workers, on_error, quiet)
    dataset = read_dataset(data, split, format, on_error, follow_links=follow_links)
    return train_affinity(chosen, dataset, Path(labeler), Path(out), run, max(workers, 1))


def segment(  # noqa: D417 - the other arguments are those of classify
    data: AnyPath,
    out: AnyPath,
    *,
    labels: AnyPath | None = None,
    split: str | None = None,
    task: Literal["semantic", "instance"] = "semantic",
    preset: str = "lite0",
    masks: AnyPath | None = None,
    labeler: AnyPath | None = None,
    val_split: str | None = None,
    pictures: int = 4,
    format: str | None = None,
    seed: int = 0,
    device: str = "auto",
    accumulate: int = 1,
    checkpoint_seconds: float = 10.0,
    workers: int = 0,
    tensorboard: bool = False,
    on_error: OnError = "stop",
    follow_links: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Path:
    """Train a segmentation network on labels (stage 3), which then needs no boxes.

    Call it again to go on with an interrupted run. ``classify`` describes the other arguments and the errors.

    Args:
        data: Images with boxes: a folder, COCO JSON file or YOLO data.yaml.
        out: The folder of the run.
        labels: A folder that ``label`` wrote (default: none; the true masks of ``masks`` or ``data`` are learned).
        split: The split to learn from (default: the only one).
        task: ``semantic`` trains a network that gives every pixel a class, ``instance`` a Mask R-CNN.
        preset: A preset's name or a YAML file.
        masks: A folder of true masks, ``<image>.png``, to learn in place of labels, semantic only (default: none).
        labeler: A labeler to start from, if the preset starts from one (default: bana's own labeler).
        val_split: A split with true masks to score after every epoch, semantic only (default: none).
        pictures: Number of images whose confidence maps are drawn, semantic only.
        tensorboard: Also write a log for TensorBoard, semantic only.
        **settings: Settings that differ from the preset's, such as ``epochs=3`` or ``loss="nal"``.

    Returns:
        The network's file.
    """
    run = _run_options(seed, device, accumulate, checkpoint_seconds, workers, on_error, quiet, tensorboard)
    dataset = read_dataset(data, split, format, on_error, follow_links=follow_links)
    recipe = load_preset(preset, Recipe)
    common: dict[str, Any] = {"labels": optional_path(labels), "labeler": optional_path(labeler)}
    if task == "instance":
        _refuse_semantic(loss=settings.pop("loss", None), masks=masks, val_split=val_split, tensorboard=tensorboard)
        if labels is None:
            run.console.print(f"no labels given: learning the true masks of {data}", highlight=False, soft_wrap=True)
        return train(InstanceTask(change_training(recipe.instance, settings), **common), dataset, Path(out), run)
    if task != "semantic":
        raise SettingsError(f"task {task!r} is not known; choose semantic or instance")
    validation = None
    if val_split is not None:
        validation = read_dataset(data, val_split, format, on_error, follow_links=follow_links)
    files = {} if masks is None else mask_files(Path(masks))
    chosen = change_training(recipe.segment, settings)
    semantic = SegmentTask(chosen, masks=files, validation=validation, pictures=pictures, **common)
    return _train_and_draw(semantic, dataset, Path(out), run)


def _run_options(
    seed: int,
    device: str,
    accumulate: int,
    checkpoint_seconds: float,
    workers: int,
    on_error: OnError,
    quiet: bool,
    tensorboard: bool = False,
) -> RunOptions:
    runtime = RuntimeConfig(choose_device(device), workers, checkpoint_seconds, tensorboard, accumulate)
    return RunOptions(seed=seed, on_error=on_error, console=progress_console(quiet), runtime=runtime)


def _train_and_draw(task: SegmentTask, dataset: BoxDataset, out: Path, run: RunOptions) -> Path:
    """Train, then draw the confidence maps; of the processes of a launcher, the first draws."""
    file = train(task, dataset, out, run)
    if _is_first_process():
        draw_confidence(task.targets_of(dataset), dataset, out)
    return file


def _is_first_process() -> bool:
    """Whether this is the first of a launcher's processes, or the only one."""
    part = Shard.of_rank()
    return part is None or part.number == 1


def _refuse_semantic(**given: Any) -> None:
    """Raise SettingsError for the first argument that only the semantic task takes."""
    for name, value in given.items():
        if value not in (None, False):
            raise SettingsError(f"{name}: is for the semantic task only; leave it out")
