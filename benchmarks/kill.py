"""Kill ``bana classify``, ``label`` or ``run`` with SIGKILL at random moments, resume, compare with undisturbed runs.

    python benchmarks/kill.py DATA --split train --kills 10 --epochs 2
    python benchmarks/kill.py demo --commands run --kills 10 --one-run

Moments are drawn evenly between a run's first file and its end, each for a run of its own; with --one-run a single run
is killed again and again, each time after at most twice its share of the whole time. A trial passes if the resumed run
ends with the bytes of the undisturbed one, and no temporary file has a final name. Exit status 1 if any trial fails.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TIMED = {"log.jsonl", "timings.json"}
"""Files that hold speeds, which differ from run to run."""


@dataclass(frozen=True)
class Command:
    """A command that can be killed.

    Attributes:
        name: What the table calls it.
        arguments: Without the command and ``--out``.
        resume: What to add to go on.
        first: The file in the output folder that says that work has begun.
    """

    name: str
    arguments: list[str]
    resume: list[str]
    first: str

    def start(self, out: Path, *, resume: bool = False) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own."""
        more = self.resume if resume else []
        command = [sys.executable, "-m", "bana", self.name, *self.arguments, "--out", str(out), *more]
        return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for its end; a failure ends this program."""
        _, text = process.communicate()
        if process.returncode:
            raise SystemExit(f"{self.name} failed: {text.decode(errors='replace').strip().splitlines()[-1:]}")

    def wait_for_first(self, process: subprocess.Popen[bytes], out: Path) -> None:
        """Wait until work has begun."""
        while process.poll() is None and not (out / self.first).exists():
            time.sleep(0.01)


def finals(folder: Path) -> dict[str, bytes]:
    """The files that a user sees, by name; hidden ones are what a killed process was writing."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.name not in TIMED
    }


def undisturbed(command: Command, out: Path) -> tuple[dict[str, bytes], float]:
    """The files of a whole run, and the seconds from its first file to its end."""
    process = command.start(out)
    command.wait_for_first(process, out)
    began = time.monotonic()
    command.finish(process)
    return finals(out), time.monotonic() - began


def killed_and_resumed(command: Command, out: Path, after: float) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files that a run left that was killed so many seconds after its first file, and those after resuming."""
    process = command.start(out)
    command.wait_for_first(process, out)
    time.sleep(after)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    left = finals(out)
    command.finish(command.start(out, resume=True))
    return left, finals(out)


def trials(command: Command, folder: Path, kills: int, seed: int) -> bool:
    """Kill a command so many times, each time in a new folder; prints a line each."""
    whole, seconds = undisturbed(command, folder / "whole")
    print(f"{command.name}: {len(whole)} files in {seconds:.1f} s undisturbed")
    print(f"{'trial':>6} {'killed after s':>15} {'files then':>11} {'identical':>10}")
    passed = True
    moments = random.Random(f"{seed} {command.name}")
    for trial in range(1, kills + 1):
        after = moments.uniform(0, seconds)
        out = folder / f"trial{trial}"
        left, resumed = killed_and_resumed(command, out, after)
        whole_files = all(not name.endswith(".part") for name in (*left, *resumed))
        identical = resumed == whole and whole_files
        passed &= identical
        print(f"{trial:>6} {after:>15.1f} {len(left):>11} {'yes' if identical else 'NO':>10}", flush=True)
        shutil.rmtree(out)
    return passed


def one_run(command: Command, folder: Path, kills: int, seed: int) -> bool:
    """Kill one run so many times, resuming it each time; prints a line each."""
    whole, seconds = undisturbed(command, folder / "whole")
    print(f"{command.name}: {len(whole)} files in {seconds:.1f} s undisturbed")
    print(f"{'kill':>6} {'after s':>8} {'files then':>11}")
    moments = random.Random(f"{seed} {command.name}")
    out = folder / "killed"
    for kill in range(1, kills + 1):
        process = command.start(out, resume=kill > 1)
        if kill == 1:
            command.wait_for_first(process, out)
        after = moments.uniform(0, 2 * seconds / kills)
        with suppress(subprocess.TimeoutExpired):
            process.wait(after)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        print(f"{kill:>6} {after:>8.1f} {len(finals(out)):>11}", flush=True)
    command.finish(command.start(out, resume=True))
    resumed = finals(out)
    passed = resumed == whole and all(not name.endswith(".part") for name in resumed)
    print("identical" if passed else f"NOT identical: {sorted(differing(resumed, whole))}", flush=True)
    return passed


def differing(first: dict[str, bytes], second: dict[str, bytes]) -> set[str]:
    """Names of the files that are not the same in both."""
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="images with boxes")
    parser.add_argument("--split")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--preset", help="that of the command if left out")
    parser.add_argument("--commands", default="classify,label", help="of classify, label (after classify) and run")
    parser.add_argument("--one-run", action="store_true", help="kill one run again and again")
    parser.add_argument("--workers", type=int, default=2, help="of bana label and bana run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    data = [options.data, *(["--split", options.split] if options.split else [])]
    preset = ["--preset", options.preset] if options.preset else []
    workers = ["--workers", str(options.workers)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labeler = ["--labeler", str(folder / "classify/whole")]
        commands = {
            "classify": Command(
                "classify", [*data, *preset, "--epochs", str(options.epochs)], ["--resume"], "settings.json"
            ),
            "label": Command("label", [*data, *labeler, *workers], [], "labels.json"),
            "run": Command("run", [*data, *preset, *workers], [], "run.json"),
        }
        way = one_run if options.one_run else trials
        passed = [
            way(commands[each], folder / each, options.kills, options.seed) for each in options.commands.split(",")
        ]
    raise SystemExit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
