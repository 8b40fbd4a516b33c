"""The commands of bana that write, as benchmarks/faults.py runs them.

A command starts in a fork of this process, where everything is imported already: so moments fall on its work.
"""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import bana.cli
import bana.label.tune
import bana.pipeline.compare
import bana.pipeline.report
import bana.pipeline.reproduce
import bana.pipeline.run
import bana.report.demo
import bana.segment.export


@dataclass(frozen=True)
class Command:
    """A command that can be ended.

    Attributes:
        arguments: All but the output.
        output: The option of the output; empty: it is an argument.
        file: The name of the output in its folder, where that is a file.
    """

    arguments: list[str]
    output: str = "--out"
    file: str = ""

    def start(self, folder: Path) -> int:
        """Start it in a fork, in a process group of its own; returns its process."""
        target = str(folder / self.file) if self.file else str(folder)
        output = [self.output, target] if self.output else [target]
        process = os.fork()
        if process:
            with suppress(OSError):  # both sides do it: whoever comes first
                os.setpgid(process, process)
            return process
        os.setpgid(0, 0)
        status = 1
        try:
            with Path(f"{folder}.txt").open("wb") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            bana.cli.sys.argv = ["bana", *self.arguments, *output]
            bana.cli.main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        finally:
            os._exit(status)

    def finish(self, process: int, folder: Path) -> None:
        """Wait for its end; a failure ends this program."""
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if status:
            raise SystemExit(f"bana {' '.join(self.arguments)}: {status}: {Path(f'{folder}.txt').read_text()[-2000:]}")


NEEDED = {"classify", "label", "shards", "segment", "objects"}
"""Commands whose outputs later ones take."""


def commands(options: argparse.Namespace, folder: Path) -> dict[str, Command]:
    """All commands that write, each with the outputs of those before it; a data set's photographs are those of VOC."""
    data = [options.data, *(["--split", options.split] if options.split else [])]
    preset = ["--preset", options.preset] if options.preset else []
    workers = ["--workers", str(options.workers)]
    labeler = ["--labeler", str(folder / "classify/whole")]
    labels = ["--labels", str(folder / "label/whole"), *labeler]
    photographs = str(Path(options.data) / "JPEGImages")
    return {
        "classify": Command(["classify", *data, *preset, "--checkpoint-seconds", "0.3"]),
        "label": Command(["label", *data, *labeler, *workers, "--formats", "coco,voc"]),
        "refine": Command(["refine", *data, *labels, *preset, "--checkpoint-seconds", "0.3"]),
        "shards": Command(["label", *data, *labeler, *workers, "--shard", "1/1"]),
        "merge": Command(["merge", str(folder / "shards/whole")]),
        "tune": Command(["tune", *data, *labeler, *workers, "--images", "3", "--trials", "4"]),
        "compare": Command(["compare", *data, *labeler, *workers, "--methods", "box,labeler"]),
        "segment": Command(["segment", *data, *labels, *preset, "--checkpoint-seconds", "0.3"]),
        "objects": Command(["segment", *data, *labels, *preset, "--task", "instance", "--checkpoint-seconds", "0.3"]),
        "predict": Command(["predict", str(folder / "segment/whole"), photographs, *workers, "--overlays"]),
        "detect": Command(["predict", str(folder / "objects/whole"), photographs, *workers]),
        "export": Command(["export", str(folder / "segment/whole"), "--to", "onnx"], file="network.onnx"),
        "report": Command(["report", str(folder / "label/whole"), "--data", *data, *workers], file="report.html"),
        "convert": Command(["convert", *data, "--to", "coco", "--overwrite"], output=""),
        "run": Command(["run", *data, *preset, *workers]),
        "reproduce": Command(
            [
                *("reproduce", "table3", options.data, "--rows", "nal", *preset, *workers),
                *(part for name in ("--split", "--val-split") for part in (name, options.split or "train")),
            ]
        ),
    }
