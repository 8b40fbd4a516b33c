"""Bytes and parameters of the labeler that comes with bana, of its two networks, and bytes of other files.

python benchmarks/sizes.py [FILE ...]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors import safe_open

from bana.nn.initialization import pretrained_path


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*")
    sizes = {path.name.partition(".")[0]: path.stat().st_size for path in parser.parse_args().files}
    networks = {name: {"bytes": 0, "parameters": 0} for name in ("classifier", "refiner")}
    with safe_open(pretrained_path(), "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118  (no mapping)
            tensor = tensors.get_tensor(name)
            network = networks["refiner" if name.startswith("refiner/") else "classifier"]
            network["bytes"] += tensor.nbytes
            network["parameters"] += tensor.numel()
    print(json.dumps({"labeler": pretrained_path().stat().st_size, "files": sizes, **networks}))


if __name__ == "__main__":
    main()
