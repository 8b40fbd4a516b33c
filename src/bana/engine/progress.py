"""What a person sees of a long run, and what a program reads of it."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from bana.errors import OutputError
from bana.extras import needed
from bana.io.files import write_text

SILENT = Console(quiet=True)
"""Shows nothing: the console of functions that are called without one."""

_LINE_SECONDS = 15.0


class Log(Protocol):
    """Takes one entry a step."""

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry, which has its ``step``."""

    def close(self) -> None:
        """Close the file."""


class JsonLog:
    """A JSON Lines file with one object a step.

    Opening it for a resumed run drops the lines from ``first_step`` on (they are written again) and a torn last line.
    """

    def __init__(self, path: Path, first_step: int) -> None:
        self._path = path
        with self._as_output_error():
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            kept = [line for line in lines if _step(line, first_step) < first_step]
            write_text(path, "".join(f"{line}\n" for line in kept))
            self._file = path.open("ab", buffering=0)  # a line is out when it is written: nothing fails at closing

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry. Raises OutputError if it cannot be written."""
        with self._as_output_error():
            self._file.write(json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def _as_output_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}); free space and resume") from error


class TensorBoardLog:
    """The numbers of every entry as TensorBoard's scalars; those from ``first_step`` on of an earlier run are hidden.

    Raises:
        SettingsError: If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        needed("tensorboard", "tensorboard", "--tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=first_step)

    def write(self, entry: dict[str, Any]) -> None:
        """Add one entry."""
        for name, value in entry.items():
            if name != "step":
                self._writer.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class StepProgress:
    """Step, speed, metrics and time left: a bar on a terminal, elsewhere a line every 15 seconds."""

    def __init__(self, name: str, steps: int, console: Console) -> None:
        self._name, self._steps, self._console = name, steps, console
        self._recent: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=50)
        self._said = time.monotonic()
        columns = ("{task.description}", BarColumn(20), MofNCompleteColumn(), "{task.fields[shown]}")
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(name, total=steps, shown="")
        self._bar.start()

    def update(self, step: int, images: int, metrics: dict[str, float]) -> float:
        """Show a finished step of so many images; returns images per second over the last steps."""
        now = time.monotonic()
        self._recent.append((now, self._recent[-1][1] + images))
        (begin, before), (end, after) = self._recent[0], self._recent[-1]
        speed = (after - before) / max(end - begin, 1e-9)
        left = timedelta(seconds=round((end - begin) / (len(self._recent) - 1) * (self._steps - step - 1)))
        shown = "  ".join([*(f"{name} {value:.3f}" for name, value in metrics.items()), f"{speed:.1f} images/s"])
        shown = f"{shown}  {left} left"
        self._bar.update(self._task, completed=step + 1, shown=shown)
        if not self._console.is_terminal and (now - self._said > _LINE_SECONDS or step + 1 == self._steps):
            line = f"{self._name}  step {step + 1}/{self._steps}  {shown}"
            self._console.print(line, highlight=False, soft_wrap=True)
            self._said = now
        return speed

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()


def _step(line: str, unknown: int) -> int:
    """The step of a line, or ``unknown`` where it is torn."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return unknown
