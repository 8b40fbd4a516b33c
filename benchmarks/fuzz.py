"""Fuzz a reader of files that are not trusted: every input is read, or refused with one line of ours.

    OMP_NUM_THREADS=1 python benchmarks/fuzz.py coco --inputs 200000
    OMP_NUM_THREADS=1 python benchmarks/fuzz.py images --inputs 200000 --engine random --seed 7

The engine ``atheris`` (``pip install atheris``, Linux) is guided by which lines of bana an input reaches; ``random``
needs nothing. Both change valid files as ``tests/fuzz`` does: keys dropped, values replaced, chunks with right
checksums; atheris changes bytes by itself too. The last line of output is one JSON object. Inputs that raise anything
but a BanaError, or take more than a second of the processor twice, are kept in the folder that is printed; then the
exit status is 1. A reader that hangs for good is ended with a traceback, and the input named.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import resource
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "helpers")]

SLOW = 1.0
"""Seconds of the processor that an input may take."""

HUNG = 60
"""Seconds after which a reader is ended."""

LONGEST = 1 << 13
"""Bytes of an input at most, or four times the longest valid file."""

MEMORY = Path("/dev/shm")
"""Where files are kept in memory, if there is such a place."""


class Fuzz:
    """One reader under test, and what came of it so far.

    Args:
        name: Of the reader.
        kept: The folder for inputs that show a defect.
        inputs: How many are wanted.
    """

    def __init__(self, name: str, kept: Path, inputs: int) -> None:
        from bana.errors import BanaError
        from fuzz_targets import TARGETS

        self.name, self.kept, self.wanted = name, kept, inputs
        self.target = TARGETS[name]
        self.refusal = BanaError
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.read = self.target.opened(Path(self.folder.name))
        self.current = Path(self.folder.name) / "current.input"
        self.inputs = 0
        self.outcomes: Counter[str] = Counter()
        self.defects: dict[str, int] = {}
        self.slowest = 0.0
        self.at_start = peak_megabytes()
        self.seeds = self.target.seeds()
        self.longest = max(LONGEST, 4 * max(map(len, self.seeds)))

    def one(self, content: bytes) -> None:
        """Read one input."""
        self.current.write_bytes(content)
        faulthandler.dump_traceback_later(HUNG, exit=True)
        self.inputs += 1
        seconds, outcome = self._timed(content)
        if seconds > SLOW:  # the machine may have been busy, or something was set up
            seconds = min(seconds, self._timed(content)[0])
            if seconds > SLOW:
                self._defect(content, "slow", f"{seconds:.2f} s\n")
        faulthandler.cancel_dump_traceback_later()
        self.slowest = max(self.slowest, seconds)
        self.outcomes[outcome] += 1

    def _timed(self, content: bytes) -> tuple[float, str]:
        """Seconds of the processor, and what came of the input."""
        began, outcome = time.process_time(), "accepted"
        try:
            self.read(content)
        except self.refusal as error:
            outcome = "refused"
            if len(str(error).splitlines()) != 1:
                self._defect(content, "lines", f"{error!r}\n")
        except Exception as error:
            outcome = "defect"
            places = [frame for frame in traceback.extract_tb(error.__traceback__) if "/bana/" in frame.filename]
            last = f"{Path(places[-1].filename).name}:{places[-1].lineno}" if places else "?"
            self._defect(content, f"{type(error).__name__} {last}", traceback.format_exc())
        return time.process_time() - began, outcome

    def _defect(self, content: bytes, key: str, shown: str) -> None:
        if key not in self.defects:
            file = self.kept / f"{self.name}-{len(self.defects)}"
            file.write_bytes(content)
            print(f"DEFECT {key}: {file}\n{shown}", file=sys.stderr, flush=True)
        self.defects[key] = self.defects.get(key, 0) + 1

    def figures(self, engine: str, seed: int) -> dict[str, Any]:
        """What the run found."""
        return {
            "reader": self.name,
            "engine": engine,
            "seed": seed,
            "inputs": self.inputs,
            "accepted": self.outcomes["accepted"],
            "refused": self.outcomes["refused"],
            "defects": self.defects,
            "slowest_seconds": round(self.slowest, 3),
            "megabytes_at_start": self.at_start,
            "peak_megabytes": peak_megabytes(),
        }


def peak_megabytes() -> int:
    """The most memory that this process has had resident."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def no_network(*_: Any, **__: Any) -> None:
    """In the place of a connection: a file that names weights must not make a fuzzer fetch them."""
    raise OSError("no network while fuzzing")


def run_random(fuzz: Fuzz, seed: int) -> None:
    """The valid files, and then changes of these and of changed ones."""
    random = Random(seed)
    seeds = fuzz.seeds
    pool = list(seeds)
    for number in range(fuzz.wanted):
        changed = fuzz.target.mutate(random.choice(pool), random)[: fuzz.longest]
        content = seeds[number] if number < len(seeds) else changed
        fuzz.one(content)
        if random.random() < 0.02:
            pool = [*seeds, *pool[len(seeds) :][-20:], content]


def run_atheris(fuzz: Fuzz, seed: int) -> None:
    """Guided by coverage; half of the changes are atheris's own."""
    import atheris

    seeds = fuzz.seeds

    def change(content: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.4:
            return atheris.Mutate(content, most)
        # Of a valid file often: what was changed many times is refused for its first fault.
        return fuzz.target.mutate(random.choice([content, *random.choices(seeds, k=2)]), random)[:most]

    with tempfile.TemporaryDirectory(dir=fuzz.folder.name) as corpus:
        for number, content in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(content)
        limits = [f"-atheris_runs={fuzz.wanted}", f"-max_len={fuzz.longest}", "-timeout=600", "-rss_limit_mb=0"]
        arguments = [sys.argv[0], *limits, f"-seed={seed}", "-len_control=0", corpus]
        atheris.Setup(arguments, fuzz.one, custom_mutator=change)
        with contextlib.suppress(SystemExit):
            atheris.Fuzz()


def instrumented() -> None:
    """Import bana so that atheris sees which lines are reached."""
    try:
        import atheris
    except ImportError:
        raise SystemExit("the engine atheris is not installed: pip install atheris, or take --engine random") from None
    with atheris.instrument_imports(include=["bana"]):
        import fuzz_targets  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader")
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("atheris", "random"), default="atheris")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-defects"), help="folder for inputs that show a defect")
    given = parser.parse_args()
    if given.engine == "atheris":
        instrumented()
    from fuzz_targets import TARGETS

    if given.reader not in TARGETS:
        raise SystemExit(f"reader {given.reader!r} is not known; choose one of {', '.join(TARGETS)}")
    given.keep.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    socket.socket.connect = no_network  # type: ignore[method-assign, assignment]
    fuzz = Fuzz(given.reader, given.keep, given.inputs)
    (run_atheris if given.engine == "atheris" else run_random)(fuzz, given.seed)
    fuzz.folder.cleanup()
    print(json.dumps(fuzz.figures(given.engine, given.seed)), flush=True)
    if fuzz.defects:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
