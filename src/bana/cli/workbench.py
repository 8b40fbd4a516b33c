"""The command of the workbench: app."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bana.cli.common import chosen_device, console, data_or_demo
from bana.cli.method import chosen_method

if TYPE_CHECKING:
    from bana.io.faults import OnError


def app(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Images with boxes: a folder, COCO JSON or data.yaml; demo: those that come with bana."
        ),
    ],
    split: str | None = typer.Option(None, help="Part of the data set, such as train."),
    labels: Annotated[
        Path | None, typer.Option(help="Folder of labels and reviews; DATA-labels beside DATA if left out.")
    ] = None,
    labeler: Annotated[
        Path | None, typer.Option(help="Run of bana classify, or labeler file; bana's own if left out.")
    ] = None,
    port: int = typer.Option(8008, min=0, max=65535, help="Of this machine, where nobody else reaches it; 0: any."),
    browser: bool = typer.Option(True, "--open/--no-open", help="Open the page in a browser."),
    format: str | None = typer.Option(None, help="voc, coco, yolo or labelme; found from what is there if left out."),
    device: str = typer.Option("cpu", help="Of the labeler's network: cpu, cuda, cuda:1, mps, or auto."),
    on_error: str = typer.Option("stop", help="stop at an image that cannot be used, or skip it."),
) -> None:
    """Look at labels in a browser, correct boxes and masks, accept or reject, and export."""
    from bana.data.reading import read_dataset
    from bana.extras import needed

    for package in ("fastapi", "uvicorn"):
        needed(package, "app", "bana app")
    from bana.app.serve import serve

    root, format = data_or_demo(data, format)
    folder = labels or (_beside(data) if root == data else Path(f"{data.name}-labels"))

    def tell(address: str) -> None:
        print(f"{address} shows {data}; labels and reviews are kept in {folder}", flush=True)
        console.print("Ctrl-C ends it.", highlight=False)

    serve(
        read_dataset(root, split, format, cast("OnError", on_error)),
        chosen_method("labeler", None if labeler is None else [str(labeler)], None, None, {}, chosen_device(device)),
        folder,
        port=port,
        open_browser=browser,
        tell=tell,
    )


def _beside(data: Path) -> Path:
    """The folder of a data set's labels, beside it: ``NAME-labels``, NAME without the suffix of a file."""
    where = Path(os.path.abspath(data))  # noqa: PTH100 - folds . and .., and a link keeps its own name
    return where.parent / f"{(where.stem if where.is_file() else where.name) or 'data'}-labels"
