"""The commands of the three stages: classify, label, segment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bana.cli.common import chosen_device, console, end_training, exit_if_rejected, left_out, print_json, processes
from bana.cli.method import LABELER_HELP, METHODS, chosen_method
from bana.cli.objects import train_objects
from bana.errors import SettingsError

if TYPE_CHECKING:
    from bana.io.faults import OnError


ACCUMULATE_HELP = "Parts of a batch to work on one after the other, where memory is short."


def classify(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    preset: str = typer.Option("lite0", help="lite0, small, coco, resnet101, vgg16, or a YAML file."),
    pooling: str | None = typer.Option(None, help="bap; gap or image for the comparison; the preset's if left out."),
    epochs: int | None = typer.Option(None, help="Passes over the images; the preset's if left out."),
    labels: Annotated[
        Path | None, typer.Option(help="Labels of these images, whose agreed pixels are learned as well.")
    ] = None,
    labeler: Annotated[
        Path | None, typer.Option(help="Run to start from, if the preset asks for one; bana's own labeler if left out.")
    ] = None,
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    seed: int = typer.Option(0, help="Of everything random."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, mps, ...; auto: CUDA if there is any."),
    precision: str | None = typer.Option(None, help="float32, bfloat16 or float16; the preset's if left out."),
    accumulate: int = typer.Option(1, min=1, help=ACCUMULATE_HELP),
    checkpoint_seconds: float = typer.Option(10.0, min=0, help="Least time between checkpoints."),
    workers: int = typer.Option(0, min=0, help="DistContext that prepare samples; 0: none beside the training."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
) -> None:
    """Train a box classifier (stage 1). The run folder then serves as --labeler."""
    from bana.classify.labeler_file import pretrained_path
    from bana.classify.train import train_classifier
    from bana.data.reading import read_dataset
    from bana.engine.distributed import RuntimeConfig
    from bana.engine.run_folder import REJECTED
    from bana.pipeline.recipe import Recipe
    from bana.presets import load_preset, parse_settings

    recipe = load_preset(preset, Recipe)
    options = {"pooling": pooling, "epochs": epochs, "precision": precision}
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = parse_settings(recipe.classify.model_dump() | chosen, type(recipe.classify), "options")
    file = train_classifier(
        read_dataset(data, split, format, cast("OnError", on_error)),
        settings,
        recipe.label.model_dump(mode="json"),
        out,
        labels=labels,
        labeler=labeler or pretrained_path(),
        seed=seed,
        resume=resume,
        runtime=RuntimeConfig(chosen_device(device), workers, checkpoint_seconds, accumulate=accumulate),
        on_error=cast("OnError", on_error),
        console=console,
    )
    end_training(file, out / REJECTED)


def label(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml, or s3://...")
    ],
    out: Annotated[str, typer.Option(help="Folder for the labels, or s3://...; what is there and intact is kept.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as val."),
    method: str = typer.Option("labeler", help=f"{METHODS}, or fuse:A,B of two of these."),
    labeler: Annotated[list[str] | None, typer.Option(help=LABELER_HELP)] = None,
    sam_encoder: Annotated[Path | None, typer.Option(help="ONNX file of the method sam.")] = None,
    sam_decoder: Annotated[Path | None, typer.Option(help="ONNX file of the method sam.")] = None,
    formats: str = typer.Option(
        "png", help="Of png, coco, yolo, labelme, voc, joined by commas; png is always written."
    ),
    u0: str | None = typer.Option(None, help="Background unary: attention, or cam for the comparison."),
    refinements: int | None = typer.Option(None, help="Rounds of retrieval and CRF; the method's if left out."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    shard: str | None = typer.Option(
        None, help="NUMBER/COUNT, such as 3/8: only that part, in its own folder of --out; under torchrun each rank's."
    ),
    workers: int | None = typer.Option(None, min=1, help="DistContext; as many as there are cores here if left out."),
    device: str = typer.Option("cpu", help="Of a labeler's network: cpu, cuda, cuda:1, mps, or auto."),
    engine: str = typer.Option("local", help="local: processes of this machine; ray: actors of a Ray cluster."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Label every pixel of every image from its boxes (stage 2)."""
    from bana.data.mirror import read_anywhere
    from bana.io.remote import place
    from bana.io.shards import Shard
    from bana.label.run import label_dataset
    from bana.label.tables import label_run_lines

    dataset, images = read_anywhere(place(data), split, format, cast("OnError", on_error))
    folder = place(out)
    exported = [name for name in formats.split(",") if name != "png"]
    part = Shard.of_rank() if shard is None else Shard.parse(shard)
    if part is not None:
        if exported:
            raise SettingsError(f"--formats {exported[0]}: is for the whole; ask for it on the folder of bana merge")
        dataset, folder = part.of(dataset), folder / part.folder
    run = label_dataset(
        dataset,
        chosen_method(
            method, labeler, sam_encoder, sam_decoder, {"u0": u0, "refinements": refinements}, chosen_device(device)
        ),
        folder,
        formats=exported,
        workers=processes(workers),
        on_error=cast("OnError", on_error),
        engine=engine,
        images=images,
        console=console,
    )
    if as_json:
        print_json(run.as_dict())
    else:
        for line in label_run_lines(run, folder):
            print(line)
    if run.rejected and part is None:  # a launcher would stop the other shards; bana merge tells of them
        raise typer.Exit(1)


def merge(
    shards: Annotated[
        list[Path], typer.Argument(metavar="SHARDS...", help="The --out of bana label --shard, or shards' folders.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of all labels; what is there already is kept.")],
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Make one folder of the labels of shards."""
    from bana.engine.run_folder import REJECTED
    from bana.label.merge import merge_labels

    images = merge_labels(shards, out, console=console)
    rejected = left_out(out / REJECTED)
    if as_json:
        print_json({"images": images, "left_out": rejected})
    else:
        print(f"{out}: labels of {images} images")
    exit_if_rejected(rejected, out / REJECTED)


def segment(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of bana label; without it true masks are learned, of --masks or of DATA's objects."),
    ] = None,
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    task: str = typer.Option("semantic", help="semantic: a class for every pixel; instance: a Mask R-CNN."),
    preset: str = typer.Option("lite0", help="lite0, small, coco, resnet101, vgg16, or a YAML file."),
    loss: str | None = typer.Option(
        None,
        help="nal, agreed, y_crf, y_ret, entropy, bootstrap_soft, bootstrap_hard or filling_rate; else the preset's.",
    ),
    epochs: int | None = typer.Option(None, help="Passes over the images; the preset's if left out."),
    masks: Annotated[
        Path | None, typer.Option(help="Folder of true masks, <image>.png; an image that has one learns from it alone.")
    ] = None,
    labeler: Annotated[
        Path | None,
        typer.Option(help="Run of bana classify to start from, if the preset asks for one; bana's own if left out."),
    ] = None,
    val_split: str | None = typer.Option(None, help="Part of the data set with true masks to score on every epoch."),
    pictures: int = typer.Option(4, min=0, help="Images whose confidence maps are drawn at every quarter of the run."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    seed: int = typer.Option(0, help="Of everything random."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --out."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, mps, ...; auto: CUDA if there is any."),
    precision: str | None = typer.Option(None, help="float32, bfloat16 or float16; the preset's if left out."),
    workers: int = typer.Option(0, min=0, help="DistContext that prepare samples; 0: none beside the training."),
    accumulate: int = typer.Option(1, min=1, help=ACCUMULATE_HELP),
    checkpoint_seconds: float = typer.Option(10.0, min=0, help="Least time between checkpoints."),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Log for TensorBoard too."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
) -> None:
    """Train a segmentation network on labels (stage 3). It then needs no boxes: bana predict."""
    from bana.classify.labeler_file import pretrained_path
    from bana.data.masks import mask_files
    from bana.data.reading import read_dataset
    from bana.engine.distributed import RuntimeConfig
    from bana.engine.run_folder import REJECTED
    from bana.pipeline.recipe import Recipe
    from bana.presets import load_preset, parse_settings
    from bana.report.confidence import draw_confidence
    from bana.segment.train import Training, targets_of, train_segmenter

    runtime = RuntimeConfig(chosen_device(device), workers, checkpoint_seconds, tensorboard, accumulate)
    options = {"epochs": epochs, "precision": precision}
    chosen = {name: value for name, value in options.items() if value is not None}
    if task == "instance":
        train_objects(
            *(data, out),
            labels=labels,
            split=split,
            format=format,
            preset=preset,
            options=chosen,
            semantic={"loss": loss, "masks": masks, "val-split": val_split, "tensorboard": tensorboard or None},
            labeler=labeler,
            seed=seed,
            resume=resume,
            runtime=runtime,
            on_error=cast("OnError", on_error),
        )
        return
    if task != "semantic":
        raise SettingsError(f"task {task!r} is not known; choose semantic or instance")
    chosen |= {} if loss is None else {"loss": loss}
    settings = load_preset(preset, Recipe).segment
    settings = parse_settings(settings.model_dump() | chosen, type(settings), "options")
    training = Training(
        read_dataset(data, split, format, cast("OnError", on_error)),
        labels,
        {} if masks is None else mask_files(masks),
        labeler or pretrained_path(),
        None if val_split is None else read_dataset(data, val_split, format, cast("OnError", on_error)),
        pictures,
        seed,
    )
    file = train_segmenter(
        training,
        settings,
        out,
        runtime=runtime,
        resume=resume,
        on_error=cast("OnError", on_error),
        console=console,
    )
    end_training(file, out / REJECTED, lambda: draw_confidence(targets_of(training), training.dataset, out))
