"""Make deliberate mistakes, one at a time, in a copy of the repository, and see whether the tests notice.

    OMP_NUM_THREADS=1 python benchmarks/mutants.py
    OMP_NUM_THREADS=1 python benchmarks/mutants.py --sample 20 --seed 3
    OMP_NUM_THREADS=1 python benchmarks/mutants.py --only gamma-is-not-handed-on

``benchmarks/mistakes.py`` lists the mistakes and the tests that guard each place. First all of these tests must pass
without a mistake. Then each mistake is made, its tests run, and the file is put back. A mistake is killed if a test
fails, if the tests crash, or if they take more than --seconds: a mistake that makes a loop endless is noticed too. Each
run is a fork of this process, in which other packages are imported already. The last line is ``killed K of N``. Exit
status 1 if a mistake survives, 2 if a mistake has lost its place or the tests fail without one.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

from mistakes import MISTAKES, Mistake

ROOT = Path(__file__).resolve().parents[1]

COPIED = ("densecrf", "pyproject.toml", "src", "tests")

SOURCES = ("src", "densecrf/src")

IMPORTED = (
    *("torch", "torchvision", "torchvision.transforms.v2", "timm", "numba", "PIL.Image", "pycocotools.cocoeval"),
    *("pydantic", "rich.console", "defusedxml.ElementTree", "pytest", "hypothesis.extra.numpy"),
)
"""Packages of others that many tests need: to import them takes longer than most tests."""

PASSED, FAILED = 0, 1
"""Exit statuses of pytest. Others say that no test could run."""

FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) \S+::([^\s\[]+).*? - (\w+)", re.MULTILINE)
"""The first failure that pytest reports: the test, and what it raised."""


class Outcome(NamedTuple):
    """How a run of tests ended.

    Attributes:
        status: The exit status; negative for a signal; None if it took too long.
        output: What it printed.
    """

    status: int | None
    output: str

    def verdict(self) -> str:
        """What became of a mistake: ``survived``, or ``killed`` and by what; empty if no test could run."""
        if self.status is None:
            return "killed (took too long)"
        if self.status < 0:
            return f"killed (signal {-self.status})"
        first = FIRST_FAILURE.search(self.output)
        reason = f"killed by {first[1]} ({first[2]})" if first else "killed"
        return {PASSED: "survived", FAILED: reason}.get(self.status, "")


class Copy:
    """A copy of the repository in which mistakes are made.

    Args:
        folder: Where it lies.
        seconds: After which a run of tests is ended.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._root = folder / "repository"
        self._seconds = seconds
        self._root.mkdir()
        for name in COPIED:
            source, target = ROOT / name, self._root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            else:
                shutil.copy2(source, target)

    def outcome(self, mistake: Mistake) -> Outcome:
        """Run the tests of a mistake with it; the file is as before afterwards."""
        file = self._root / mistake.file
        text = file.read_text()
        file.write_text(text.replace(mistake.old, mistake.new))
        try:
            # Machine code that numba keeps holds what it calls in other files, and would not be made anew.
            return self._run(mistake.tests, self._seconds, fresh="@compiled" in text)
        finally:
            shutil.copy2(ROOT / mistake.file, file)  # with its time, so that what is kept of it is of use again

    def run_without_mistake(self, tests: Sequence[str]) -> Outcome:
        """Run tests; what Python and numba compile for it is kept for the runs to come."""
        return self._run(tests, 20 * self._seconds, keeps=True)

    def _run(self, tests: Sequence[str], seconds: float, *, keeps: bool = False, fresh: bool = False) -> Outcome:
        """Run tests in a fork.

        Args:
            tests: Their node ids.
            seconds: After which the fork is ended.
            keeps: Whether Python keeps what it compiles.
            fresh: Whether numba compiles anew.
        """
        output = self._root.parent / "output.txt"
        process = os.fork()
        if not process:
            sys.dont_write_bytecode = not keeps
            self._become_pytest(tests, output, fresh)
        status = ends_within(process, seconds)
        shutil.rmtree(self._cache, ignore_errors=True)
        return Outcome(status, output.read_text(errors="replace"))

    @property
    def _cache(self) -> Path:
        return self._root.parent / "cache"

    def _become_pytest(self, tests: Sequence[str], output: Path, fresh: bool) -> NoReturn:
        """Be pytest in the copy, whatever happens."""
        status = 3
        try:
            os.setpgid(0, 0)
            with output.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            faulthandler.disable()
            os.chdir(self._root)
            sources = [str(self._root / source) for source in SOURCES]
            os.environ |= {"PYTHONPATH": os.pathsep.join(sources), "COLUMNS": "300"}
            os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
            sys.path[:0] = sources
            sys.path.remove(str(Path(__file__).parent))
            import_module("torch").set_num_threads(1)
            if fresh:
                import_module("numba").config.CACHE_DIR = str(self._cache)
            wrong = [
                name for name in ("bana", "densecrf") if self._root not in Path(import_module(name).__file__).parents
            ]
            if wrong:
                raise ImportError(f"{wrong[0]} is not that of the copy")
            options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line", "-rfE"]
            options += ["-p", "no:anyio"]  # takes longer to load than most tests
            options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plugins among what is imported already
            status = int(import_module("pytest").main([*options, *tests]))
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")
        finally:
            sys.stdout.flush()
            os._exit(status)


def ends_within(process: int, seconds: float) -> int | None:
    """The exit status of a fork that ends within so many seconds; else it is killed, with all that it started."""
    deadline, ended, status = time.monotonic() + seconds, 0, 0
    try:
        while not ended and time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            time.sleep(0.01)
    finally:
        if not ended:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status) if ended else None


def stop(message: str) -> NoReturn:
    """End with a message and exit status 2."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


def check_places(mistakes: Sequence[Mistake]) -> None:
    """Stop if the text of a mistake is not exactly once in its file."""
    for mistake in mistakes:
        file = ROOT / mistake.file
        count = file.read_text().count(mistake.old) if file.is_file() else 0
        if count != 1:
            stop(f"{mistake.name}: {mistake.file} has its text {count} times, not once; correct benchmarks/mistakes.py")


def chosen(options: argparse.Namespace) -> list[Mistake]:
    """The mistakes to make, in the order of the list."""
    if options.only is not None:
        found = [mistake for mistake in MISTAKES if mistake.name in options.only]
        if missing := set(options.only) - {mistake.name for mistake in found}:
            stop(f"no mistake is called {', '.join(sorted(missing))}; see benchmarks/mistakes.py")
        return found
    if options.sample is None:
        return list(MISTAKES)
    numbers = random.Random(options.seed).sample(range(len(MISTAKES)), min(options.sample, len(MISTAKES)))
    return [MISTAKES[number] for number in sorted(numbers)]


def main() -> None:
    """Read the arguments, make the mistakes, print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, help="make so many mistakes, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the sample")
    parser.add_argument("--only", action="append", metavar="NAME", help="make this mistake; may be repeated")
    parser.add_argument("--seconds", type=float, default=300, help="after which a run of tests counts as failed")
    options = parser.parse_args()
    mistakes = chosen(options)
    check_places(MISTAKES)
    for name in IMPORTED:
        import_module(name)
    gc.freeze()  # or every fork would look through all of it when it ends
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder), options.seconds)
        tests = list(dict.fromkeys(test for mistake in mistakes for test in mistake.tests))
        before = copy.run_without_mistake(tests)
        if before.status != PASSED:
            stop(f"the tests fail without a mistake (status {before.status}):\n{before.output[-3000:]}")
        print(f"{len(tests)} tests pass without a mistake", flush=True)
        for number, mistake in enumerate(mistakes, start=1):
            began = time.monotonic()
            outcome = copy.outcome(mistake)
            verdict = outcome.verdict()
            if not verdict:
                stop(f"{mistake.name}: no test could run (status {outcome.status}):\n{outcome.output[-3000:]}")
            seconds = time.monotonic() - began
            print(f"{number:>3} {mistake.name} ({mistake.file}): {verdict}, {seconds:.0f} s", flush=True)
            killed += verdict.startswith("killed")
    print(f"killed {killed} of {len(mistakes)}")
    raise SystemExit(0 if killed == len(mistakes) else 1)


if __name__ == "__main__":
    main()
