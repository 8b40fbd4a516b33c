"""How long `bana --help` takes, beside a Python that does nothing and one that imports torch.

    python benchmarks/startup.py

Each is started in turns, so many times; printed are the medians, in seconds of the wall, and the ratio to torch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "bana --help": [str(Path(sys.executable).with_name("bana")), "--help"],
        "bana label --help": [str(Path(sys.executable).with_name("bana")), "label", "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    print(json.dumps(medians | {"ratio_to_torch": round(medians["bana --help"] / medians["import torch"], 3)}))


if __name__ == "__main__":
    main()
