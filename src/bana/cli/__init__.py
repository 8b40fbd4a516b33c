"""The command line: parse, call one function of the API, print.

A command has the parameters of the API's function with the same name, and ``--json``. It passes them on. ``import
bana`` loads that function when the command runs, so ``bana --help`` answers at once.

Exit status: 0 done, 1 done but images were skipped or faults found, 2 bad input or settings, 130 interrupted,
143 told to end (SIGTERM).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from io import TextIOWrapper
from itertools import pairwise
from types import FrameType

import typer

from bana import __version__
from bana.cli import comparing, datasets, labeling, predicting, runs, training
from bana.cli.verbosity import PrintedWarnings, print_error, with_verbosity
from bana.engine.forkserver import begin_imports
from bana.errors import BanaError

app = typer.Typer(
    name="bana",
    help="Boxes in, masks out: pixel labels and segmentation networks from bounding boxes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RESUMED = {
    *("run", "classify", "label", "refine", "affinity", "merge", "tune", "segment"),
    *("demo", "predict", "compare", "reproduce"),
}
"""The commands that keep what an interrupted run has finished."""

_INTERRUPTED = 130
_TOLD_TO_END = 128 + signal.SIGTERM


def main() -> None:
    """Run the command line; a BanaError becomes one line and exit status 2."""
    if "RANK" not in os.environ:  # processes of a launcher wait for each other where no handler of ours could run
        signal.signal(signal.SIGTERM, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may be what the terminal cannot show
    logger = logging.getLogger("bana")
    if not logger.handlers:
        logger.addHandler(PrintedWarnings())
    if _needs_workers(sys.argv[1:]):
        begin_imports("bana.label.run")
    try:
        app()
    except BanaError as error:
        print_error(error)
        raise SystemExit(2) from None
    except SystemExit as left:
        if left.code in (_INTERRUPTED, _TOLD_TO_END):  # typer turns KeyboardInterrupt into the first
            again = "; run the same command again to go on" if _RESUMED.intersection(sys.argv[1:2]) else ""
            print(f"bana: interrupted{again}", file=sys.stderr)
        raise


def _needs_workers(arguments: list[str]) -> bool:
    """Whether a command line will most likely label on several processes."""
    alone = any(pair == ("--workers", "1") for pair in pairwise(arguments)) or (os.cpu_count() or 1) == 1
    others = {"-h", "--help", "--device", "--engine"} & set(arguments)
    return arguments[:1] == ["label"] and len(arguments) > 1 and not alone and not others


def _end(number: int, frame: FrameType | None) -> None:
    """End as at an interruption, so that nothing half written is left."""
    raise SystemExit(_TOLD_TO_END)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bana {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Boxes in, masks out: pixel labels from bounding boxes."""


for command in (
    runs.demo,
    runs.run,
    datasets.check,
    datasets.convert,
    training.classify,
    labeling.label,
    training.refine,
    training.affinity,
    labeling.merge,
    labeling.tune,
    training.segment,
    predicting.predict,
    datasets.evaluate,
    predicting.export,
    runs.app,
    comparing.compare,
    comparing.reproduce,
    runs.report,
):
    app.command()(with_verbosity(command))
