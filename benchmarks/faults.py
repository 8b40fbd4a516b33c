"""Let every command meet a fault at random moments, run it again, compare with an undisturbed run.

    python benchmarks/faults.py DATA --preset tiny.yaml --moments 50
    python benchmarks/faults.py DATA --faults ended --commands classify,label --moments 4 --workers 2
    python benchmarks/faults.py DATA --faults disk,read-only --moments 10      # needs the right to mount a tmpfs

Faults, each at a moment or place drawn evenly, each in a run of its own:
  ended      SIGKILL and SIGTERM in turns, from a run's beginning to its end
  disk       the output's file system is full after a share of the bytes that the run writes
  read-only  the output's file system cannot be written
  vanished   one of the files that the command reads is moved away
  clock      the system's clock jumps at every look, by up to a year
  damaged    one of the files that an ended run has left is cut short

A trial passes if the command says in one line what is wrong (or is not concerned), if every file that a user sees is
whole, if no file has another content than in the undisturbed run once the fault is mended and the command was run
again, and if nothing is left over. Where a damaged file is not made anew, the line must name it; it is then removed.
Exit status 1 if any trial fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commands import NEEDED, Command, commands

TIMED = {"log.jsonl", "timings.json"}
"""Files that hold speeds, which differ from run to run."""

MEASURED = re.compile(rb'"(seconds_per_image|peak_memory)": [^,}]+')
"""Facts of ``bana compare`` that differ too."""

LEFT_OVER = (".part", ".tmp")

CACHE = "cache/"
"""What ``bana tune`` needs while it works: it is made anew where it is damaged and needed again."""

DRAWN = "sigma"
"""Pictures of a network as it was at some epoch, which cannot be drawn again."""


def ends_within(process: int, seconds: float) -> int | None:
    """The exit status of a process that ends within so many seconds; None where it does not."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.003)


def files(folder: Path, hidden: bool = False) -> dict[str, bytes]:
    """The files that a user sees, by name, but for speeds; or the hidden ones, which somebody was writing."""
    return {
        str(path.relative_to(folder)): MEASURED.sub(rb'"\1": 0', path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name.startswith(".") == hidden and path.name not in TIMED
    }


def torn(seen: dict[str, bytes]) -> list[str]:
    """The files that are not whole; of what is no JSON only the next run can say."""
    found = [name for name in seen if name.endswith(LEFT_OVER)]
    for name, content in seen.items():
        if name.endswith(".json"):
            try:
                json.loads(content)
            except ValueError:
                found.append(name)
    return found


def differences(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """What is wrong in a folder where the command has ended well at last."""
    now = files(folder)
    outputs = (name for name in now.keys() | whole.keys() if not name.startswith(CACHE))
    differing = sorted(name for name in outputs if now.get(name) != whole.get(name))
    left_over = files(folder, hidden=True)
    return [*(f"differs: {name}" for name in differing), *(f"left over: {name}" for name in left_over)]


def complaint(folder: Path) -> str:
    """The one line in which the command said what is wrong; empty where that was no line, or several."""
    lines = Path(f"{folder}.txt").read_text().splitlines()
    said = [line for line in lines if line.startswith("bana: error: ")]
    return said[0] if len(said) == 1 and said[0] == lines[-1] and "Traceback" not in "".join(lines) else ""


def undisturbed(command: Command, folder: Path) -> tuple[dict[str, bytes], float]:
    """The files of a whole run, and its seconds."""
    began = time.monotonic()
    command.finish(command.start(folder), folder)
    return files(folder), time.monotonic() - began


@dataclass(frozen=True)
class Trial:
    """One run that meets a fault.

    Attributes:
        command: What is run.
        out: Where to.
        whole: The files of an undisturbed run.
        seconds: That it takes.
        number: Of the trial, from 0 on.
        chance: Where moments and places are drawn from.
    """

    command: Command
    out: Path
    whole: dict[str, bytes]
    seconds: float
    number: int
    chance: random.Random

    def moment(self) -> float:
        """A moment of the run, in seconds from its beginning."""
        return self.chance.uniform(0, self.seconds)

    def start_and_end(self, how: signal.Signals) -> None:
        """Start the command, and end it at a moment of its run."""
        process = self.command.start(self.out)
        if ends_within(process, self.moment()) is None:
            os.killpg(process, how) if how == signal.SIGKILL else os.kill(process, how)
            os.waitpid(process, 0)

    def wrong(self, status: int) -> list[str]:
        """What is wrong with how a command ended that met a fault."""
        found = [f"torn: {name}" for name in torn(files(self.out))]
        if status not in (0, 2) or (status == 2 and not complaint(self.out)):
            found.append(f"status {status}: {Path(f'{self.out}.txt').read_text()[-300:]}")
        return found

    def finish(self) -> list[str]:
        """Run the command to its end; returns what is wrong then."""
        self.command.finish(self.command.start(self.out), self.out)
        return differences(self.out, self.whole)


def ended(trial: Trial) -> list[str]:
    how = (signal.SIGKILL, signal.SIGTERM)[trial.number % 2]
    trial.start_and_end(how)
    return [f"torn: {name}" for name in torn(files(trial.out))] + trial.finish()


def disk(trial: Trial) -> list[str]:
    size = sum(map(len, trial.whole.values())) + 8192 * len(trial.whole)
    with mounted(trial.out, f"size={max(16384, int(size * trial.chance.random()))}"):
        found = trial.wrong(status_of(trial.command.start(trial.out)))
        subprocess.run(["mount", "-o", "remount,size=1g", trial.out], check=True)
        return found + trial.finish()


def read_only(trial: Trial) -> list[str]:
    with mounted(trial.out, "ro"):
        status = status_of(trial.command.start(trial.out))
        found = trial.wrong(status) + ["was not refused"] * (status != 2)
        subprocess.run(["mount", "-o", "remount,rw", trial.out], check=True)
        return found + trial.finish()


def vanished(trial: Trial) -> list[str]:
    inputs = [Path(each) for each in trial.command.arguments if Path(each).exists()]
    read = sorted(path for each in inputs for path in ([each] if each.is_file() else each.rglob("*")) if path.is_file())
    lost = trial.chance.choice(read)
    process = trial.command.start(trial.out)
    status = ends_within(process, trial.moment() if trial.number % 2 else 0)
    away = lost.rename(trial.out.parent / "away")
    try:
        status = status_of(process) if status is None else status
        found = trial.wrong(status)
    finally:
        away.rename(lost)
    return [f"without {lost.name}: {each}" for each in found + trial.finish()]


def clock(trial: Trial) -> list[str]:
    shift = random.Random(trial.number)
    true_time = time.time

    def jump() -> float:
        return true_time() + shift.uniform(-1, 1) * 365 * 86400

    time.time = jump
    try:
        process = trial.command.start(trial.out)
    finally:
        time.time = true_time
    trial.command.finish(process, trial.out)
    return differences(trial.out, trial.whole)


def damaged(trial: Trial) -> list[str]:
    trial.start_and_end(signal.SIGKILL)
    left = sorted(name for name in files(trial.out) if not name.startswith(DRAWN))
    if not left:
        return trial.finish()
    cut = trial.out / trial.chance.choice(left)
    content = cut.read_bytes()
    cut.unlink()  # it may be a link to what the command reads
    cut.write_bytes(content[: int(len(content) * trial.chance.random())])
    status = status_of(trial.command.start(trial.out))
    if status != 2:
        return trial.wrong(status) + differences(trial.out, trial.whole)
    found = [] if cut.name in complaint(trial.out) else [f"{cut.name} not named: {complaint(trial.out)}"]
    cut.unlink()
    return [f"{cut.name} cut: {each}" for each in found + trial.finish()]


FAULTS = {
    "ended": ended,
    "disk": disk,
    "read-only": read_only,
    "vanished": vanished,
    "clock": clock,
    "damaged": damaged,
}


def status_of(process: int) -> int:
    """The exit status of a process, waited for."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory of its own at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def trials(name: str, command: Command, folder: Path, options: argparse.Namespace) -> int:
    """Let a command meet every fault so many times; returns how many trials failed."""
    whole, seconds = undisturbed(command, folder / "whole")
    print(f"{name:>10}: {len(whole)} files in {seconds:.1f} s", flush=True)
    all_failed = 0
    for fault in options.faults.split(","):
        chance = random.Random(f"{options.seed} {name} {fault}")
        failed = 0
        for number in range(options.moments):
            out = folder / f"trial-{number}"
            if wrong := FAULTS[fault](Trial(command, out, whole, seconds, number, chance)):
                print(f"{name}, {fault}, trial {number}: {'; '.join(wrong[:4])}", flush=True)
                failed += 1
            shutil.rmtree(out, ignore_errors=True)
        print(f"{'':>10}  {fault}: {options.moments} trials, {failed} failed", flush=True)
        all_failed += failed
    return all_failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="images with boxes and true masks, in VOC's layout")
    parser.add_argument("--split")
    parser.add_argument("--faults", default=",".join(FAULTS), help="those to meet, joined by commas")
    parser.add_argument("--moments", type=int, default=10, help="trials of every command and fault")
    parser.add_argument("--preset", help="that of the command if left out")
    parser.add_argument("--commands", default="all", help="those to run, joined by commas")
    parser.add_argument("--workers", type=int, default=1, help="of bana label, run, ...")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options.data = str(shutil.copytree(options.data, folder / "data"))
        known = commands(options, folder)
        wanted = list(known) if options.commands == "all" else options.commands.split(",")
        last = max(list(known).index(each) for each in wanted)
        failed = 0
        for each in list(known)[: last + 1]:
            (folder / each).mkdir()
            if each in wanted:
                failed += trials(each, known[each], folder / each, options)
            elif each in NEEDED:
                undisturbed(known[each], folder / each / "whole")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
