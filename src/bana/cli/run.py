"""The commands that do everything: demo, run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bana.cli.common import (
    chosen_device,
    console,
    data_or_demo,
    exit_if_rejected,
    print_json,
    print_tables,
    processes,
)

if TYPE_CHECKING:
    from bana.io.faults import OnError


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the picture and the labels; may be there already.")] = Path(
        "bana-demo"
    ),
    labeler: Annotated[
        Path | None, typer.Option(help="Run of bana classify, or labeler file; bana's own if left out.")
    ] = None,
    workers: int | None = typer.Option(None, min=1, help="DistContext; as many as there are cores if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """Label the photographs that come with bana, score the masks, and draw a picture of them."""
    from bana.nn.initialization import pretrained_path
    from bana.report.demo import run_demo
    from bana.report.demo_tables import demo_tables

    result = run_demo(out, labeler or pretrained_path(), workers=processes(workers), console=console)
    if as_json:
        print_json(result.as_dict())
        return
    print_tables(demo_tables(result))


def run(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml; demo: those that come with bana."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; what is there and unchanged is kept.")],
    split: str | None = typer.Option(None, help="Part of the data set to learn from, such as train."),
    val_split: str | None = typer.Option(None, help="Part with true masks to score the network on."),
    preset: str | None = typer.Option(
        None, help="lite0, small, resnet101, vgg16, or a YAML file; lite0 if left out, small for the demo."
    ),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    seed: int = typer.Option(0, help="Of everything random."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1, mps, ...; auto: CUDA if there is any."),
    workers: int | None = typer.Option(None, min=1, help="DistContext that label; as many as cores if left out."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
) -> None:
    """From boxes to a trained network: classify, label, segment, evaluate; what is done and unchanged is skipped."""
    from bana.data.reading import read_dataset
    from bana.engine.distributed import RuntimeConfig
    from bana.pipeline.recipe import Recipe
    from bana.pipeline.run import run_pipeline
    from bana.pipeline.tables import run_tables
    from bana.presets import load_preset

    root, format = data_or_demo(data, format)
    recipe = preset or ("lite0" if root == data else "small")
    device = chosen_device(device)
    result = run_pipeline(
        read_dataset(root, split, format, cast("OnError", on_error)),
        None if val_split is None else read_dataset(root, val_split, format, cast("OnError", on_error)),
        load_preset(recipe, Recipe),
        out,
        seed=seed,
        runtime=RuntimeConfig(device),
        workers=processes(workers, device),
        on_error=cast("OnError", on_error),
        console=console,
    )
    if as_json:
        print_json(result.as_dict())
    else:
        print_tables(run_tables(result))
    exit_if_rejected(result.left_out, out / "labels" / "rejected.jsonl")
