"""Make the figures of the docs anew, and say which ones differ by more than their tolerance.

    python benchmarks/figures.py --list
    OMP_NUM_THREADS=1 python benchmarks/figures.py --voc DATA --nuclei NUCLEI --keep figures
    OMP_NUM_THREADS=1 python benchmarks/figures.py --voc DATA --only docs/howto --cost hours --keep figures

``benchmarks/figures.yaml`` names the figures, the commands that make them and their tolerances. Documented values are
read from the pages themselves. Each figure gets one line: what is documented, what was measured, and whether both
agree. A command that serves many figures runs once. Commands longer than ``--cost`` do not run. ``--keep`` names a
folder for all that they write and print. Interrupted? Run the same command again. Finished commands do not run again,
so take a new folder after a change of the code. Times differ where other work runs. Exit status 1 if a figure differs
or a command fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import operator
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from documented import NUMBER, ROOT, Figure, FigureError, cleaned, numbers, only, pattern_of, read_manifest

COSTS = ("seconds", "minutes", "hours")
"""Under a minute, under half an hour, longer; on one core."""
OPERATORS = {"-": operator.sub, "/": operator.truediv}


class NotRun(Exception):  # noqa: N818  (no error: there is a reason)
    """A command that is not run, and why."""


def measured(output: str, reading: str) -> float:
    """A number of what a command printed: the {} of a text, or keys of JSON with differences and ratios of them."""
    if "{}" in reading:
        found = re.findall(pattern_of(reading), cleaned(output))
        return numbers(only(found, repr(reading)))[0][0]
    try:
        values = json.loads(output)
    except ValueError as error:
        raise FigureError(f"{reading}: the output is not JSON") from error
    first, *others = re.split(r" ([-/]) ", reading)
    pairs = zip(others[::2], others[1::2], strict=True)
    return reduce(
        lambda left, pair: OPERATORS[pair[0]](left, value_at(values, pair[1])), pairs, value_at(values, first)
    )


def value_at(values: Any, path: str) -> float:
    """A number, or what JSON has at keys joined by dots."""
    if re.fullmatch(NUMBER, path):
        return float(path)
    try:
        return float(reduce(lambda inner, key: inner[key], path.split("."), values))
    except (KeyError, TypeError) as error:
        raise FigureError(f"{path}: not in the output") from error


def within(documented: tuple[float, float], value: float, tolerance: float | str) -> tuple[float, bool]:
    """How far a value is from the documented one, and whether that is tolerated."""
    nearest = min(max(value, documented[0]), documented[1])
    if isinstance(tolerance, str):
        factor = float(tolerance.removesuffix("x"))
        return value - nearest, nearest / factor <= value <= nearest * factor
    return value - nearest, abs(value - nearest) <= tolerance + 1e-9


class Commands:
    """The commands of a manifest, each of which runs at most once.

    Args:
        commands: Each command's ``run`` and ``cost``; ``{out}`` is its own folder, ``{NAME}`` that of another command
            or of data.
        data: Folders of data by name; those that are missing are not there.
        keep: Folder of all that is printed and written.
        cost: The longest kind of command to run.
        execute: Runs words, writes messages to a file, and returns what was printed.
    """

    def __init__(
        self,
        commands: Mapping[str, Mapping[str, str]],
        data: Mapping[str, Path],
        keep: Path,
        cost: str,
        execute: Callable[[list[str], Path], str],
    ) -> None:
        self.commands, self.data, self.keep, self.cost, self.execute = commands, data, keep, cost, execute
        self.failed: dict[str, FigureError] = {}

    def cost_of(self, name: str) -> str:
        """The cost of a command and of those that it needs."""
        needed = [part for part in placeholders(self.commands[name]["run"]) if part in self.commands]
        return max([self.commands[name]["cost"], *map(self.cost_of, needed)], key=COSTS.index)

    def output(self, name: str) -> str:
        """What a command prints. Raises NotRun, or FigureError if it fails."""
        file = self.keep / f"{name}.txt"
        if file.exists():
            return file.read_text(encoding="utf-8")
        if name in self.failed:
            raise self.failed[name]
        command = self.commands[name]
        if COSTS.index(command["cost"]) > COSTS.index(self.cost):
            raise NotRun(f"{name} takes {command['cost']}")
        if "module" in command and importlib.util.find_spec(command["module"]) is None:
            raise NotRun(f"{command['module']} is not installed")
        places = {"out": self.keep / name}
        for part in placeholders(command["run"]):
            if part in self.commands:
                self.output(part)
                places[part] = self.keep / part
            elif part != "out":
                if part not in self.data:
                    raise NotRun(f"--{part} is not given")
                places[part] = self.data[part]
        words = [
            re.sub(r"\{([\w-]+)\}", lambda match: str(places[match[1]]), word) for word in shlex.split(command["run"])
        ]
        try:
            printed = self.execute(words, self.keep / f"{name}.log")
        except FigureError as error:
            self.failed[name] = FigureError(f"{name}: {error}")
            raise self.failed[name] from error
        file.write_text(printed, encoding="utf-8")
        return printed


def placeholders(text: str) -> list[str]:
    """The names in braces."""
    return re.findall(r"\{([\w-]+)\}", text)


def execute(words: list[str], log: Path) -> str:
    """Run a command in the repository's root; messages go to a file."""
    python = {"bana": [sys.executable, "-m", "bana"], "python": [sys.executable]}
    print(shlex.join(words), file=sys.stderr, flush=True)
    with log.open("w", encoding="utf-8") as messages:
        command = [*python.get(words[0], words[:1]), *words[1:]]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=messages, text=True)
    if done.returncode:
        raise FigureError(f"exit status {done.returncode}, see {log}")
    return done.stdout


def compared(figures: Sequence[Figure], commands: Commands) -> dict[str, int]:
    """Print a line a figure; how many are OK, differ, fail or are not run."""
    counts = dict.fromkeys(("OK", "DIFFERS", "FAILED", "not run"), 0)
    for figure in figures:
        value, difference, why = "", "", ""
        try:
            number = measured(commands.output(figure.command), figure.reading)
            apart, good = within(figure.documented, number, figure.tolerance)
            status, value, difference = "OK" if good else "DIFFERS", f"{number:.4g}", f"{apart:+.2g}"
        except NotRun as reason:
            status, why = "not run", f" ({reason})"
        except FigureError as error:
            status, why = "FAILED", f" ({error})"
        counts[status] += 1
        print("\t".join((*described(figure), value, difference, f"{figure.tolerance}", status + why)), flush=True)
    return counts


def described(figure: Figure) -> tuple[str, str, str]:
    """Page, name and documented value."""
    low, high = (f"{value:g}" for value in figure.documented)
    return figure.page, figure.name, low if low == high else f"{low} to {high}"


def main(arguments: Sequence[str] | None = None, execute: Callable[[list[str], Path], str] = execute) -> int:
    """Compare all figures; the exit status."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--manifest", type=Path, default=Path(__file__).with_suffix(".yaml"), help="another figures.yaml"
    )
    given, rest = where.parse_known_args(arguments)
    manifest = yaml.safe_load(given.manifest.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], parents=[where])
    for name, what in manifest.get("data", {}).items():
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=what)
    parser.add_argument("--cost", choices=COSTS, default="minutes", help="longest kind of command to run")
    parser.add_argument("--only", default="", metavar="TEXT", help="only figures whose page, name or command has this")
    parser.add_argument("--list", action="store_true", help="run nothing: print each figure with its command")
    parser.add_argument("--keep", type=Path, help="folder of what commands print and write (default: a temporary one)")
    options = parser.parse_args(rest)
    figures = [
        figure
        for figure in read_manifest(manifest)
        if options.only in f"{figure.page}: {figure.name}: {figure.command}"
    ]
    folders = {name: getattr(options, name.replace("-", "_")) for name in manifest.get("data", {})}
    data = {name: folder.resolve() for name, folder in folders.items() if folder}
    with tempfile.TemporaryDirectory() as temporary:
        keep = (options.keep or Path(temporary)).resolve()
        keep.mkdir(parents=True, exist_ok=True)
        commands = Commands(manifest["commands"], data, keep, options.cost, execute)
        if options.list:
            for figure in figures:
                command = manifest["commands"][figure.command]["run"]
                print("\t".join((*described(figure), commands.cost_of(figure.command), command)))
            return 0
        print("page\tname\tdocumented\tmeasured\tdifference\ttolerance\tresult")
        counts = compared(figures, commands)
    print(", ".join(f"{count} {status}" for status, count in counts.items()), file=sys.stderr)
    return int(bool(counts["DIFFERS"] + counts["FAILED"]))


if __name__ == "__main__":
    sys.exit(main())
