"""How much the commands print: ``--quiet`` and ``--verbose``, which every command takes."""

from __future__ import annotations

import inspect
import logging
import platform
import shlex
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import Any

import typer

from bana import __version__
from bana.cli.common import console
from bana.io.terminal import print_line

_SHOWN = ("torch", "torchvision", "timm", "numpy", "numba", "pillow")
_FLAGS = {
    "quiet": typer.Option(False, "--quiet", "-q", help="Print only errors and warnings on standard error."),
    "verbose": typer.Option(
        False, "--verbose", "-v", help="Print versions, the command, and where an error comes from."
    ),
}


class Verbosity:
    """What the command that runs was told.

    Attributes:
        verbose: Whether errors are shown with their traceback.
    """

    verbose = False


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """The command with ``--quiet`` and ``--verbose`` after its own options."""

    @wraps(command)
    def louder(*, quiet: bool, verbose: bool, **options: Any) -> None:
        console.quiet = quiet
        Verbosity.verbose = verbose
        if verbose:
            versions = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
            print(f"bana {__version__}, Python {platform.python_version()}, {versions}", file=sys.stderr)
            print_line(f"{platform.platform()}: {shlex.join(sys.argv)}", file=sys.stderr)
        command(**options)

    signature = inspect.signature(command, eval_str=True)
    flags = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=option, annotation=bool)
        for name, option in _FLAGS.items()
    ]
    louder.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *flags])  # type: ignore[attr-defined]
    return louder


class PrintedWarnings(logging.Handler):
    """Prints the package's log messages on standard error, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record. Terminal control characters are escaped."""
        print_line(f"bana: {record.getMessage()}", file=sys.stderr)


def print_error(error: Exception) -> None:
    """Print a user's error as one line. With ``--verbose``, print the traceback before it."""
    if Verbosity.verbose:
        print_line("".join(traceback.format_exception(error)), end="", file=sys.stderr)
    print_line(f"bana: error: {' '.join(str(error).split())}", file=sys.stderr)
