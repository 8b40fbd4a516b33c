"""The command that compares ways to label."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bana.cli.common import console, print_json, print_tables, processes
from bana.cli.method import LABELER_HELP, METHODS, chosen_method


def compare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Images with boxes and true masks, which only score.")],
    out: Annotated[Path, typer.Option(help="Folder of all labels; what is there and unchanged is kept.")],
    split: str | None = typer.Option(None, help="Part of the data set, such as val."),
    methods: str = typer.Option("all", help=f"Joined by commas: {METHODS}, fuse:A,B; all: those that can be had."),
    truth: Annotated[
        Path | None, typer.Option(help="Folder of true masks, <image>.png, instead of the data set's own.")
    ] = None,
    labeler: Annotated[list[str] | None, typer.Option(help=LABELER_HELP)] = None,
    sam_encoder: Annotated[Path | None, typer.Option(help="ONNX file of the method sam.")] = None,
    sam_decoder: Annotated[Path | None, typer.Option(help="ONNX file of the method sam.")] = None,
    sample: int | None = typer.Option(None, min=1, help="So many images, chosen at random, for a quick look."),
    seed: int = typer.Option(0, help="Of the sample."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    workers: int | None = typer.Option(None, min=1, help="DistContext; as many as there are cores if left out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Measure ways to label on your own data: the paper's Table 1, side by side."""
    from bana.data.reading import read_dataset
    from bana.data.truth import mask_files
    from bana.pipeline.compare import available, compare_methods, sampled, with_truth
    from bana.pipeline.comparison import comparison_tables, draw_comparison
    from bana.pipeline.methods import ALL, names_in

    dataset = read_dataset(data, split, format)
    if truth is not None:
        dataset = with_truth(dataset, mask_files(truth))
    if sample is not None:
        dataset = sampled(dataset, sample, seed)
    choice = chosen_method("labeler", labeler, sam_encoder, sam_decoder, {})
    names, missing = (names_in(methods), {}) if methods != "all" else available(ALL, choice, dataset.classes)
    result = compare_methods(
        dataset, names, choice, out, unavailable=missing, workers=processes(workers), console=console
    )
    pictures = draw_comparison(result, out)
    if as_json:
        print_json(result.as_dict() | {"pictures": list(map(str, pictures))})
        return
    print_tables(comparison_tables(result))
    options = {"--split": split, "--truth": truth, "--sample": sample, "--seed": seed or None, "--format": format}
    options |= {"--sam-encoder": sam_encoder, "--sam-decoder": sam_decoder}
    given = [part for option, value in options.items() if value is not None for part in (option, str(value))]
    given += [part for run in labeler or [] for part in ("--labeler", run)]
    command = shlex.join(["bana", "compare", str(data), *given])
    print("Each row by itself:", *(f"  {command} --out one --methods {name}" for name in names), sep="\n")
    print(*pictures, sep="\n")
