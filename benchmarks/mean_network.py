"""The mean of networks of one kind that were trained from one another: of their weights, tensor by tensor.

    python benchmarks/mean_network.py OUT RUN RUN ...

OUT is a folder; it gets the file of a refiner, with the settings of the last one, and the shipped labeler with it.
Training on from a network makes it better at what it is trained on and worse at all else; the mean keeps most of both
(Wortsman et al., CVPR 2022).
"""

import argparse
from pathlib import Path

import torch

from bana.engine.checkpoint import save_tensors
from bana.label.join import join_refiner
from bana.refine.model import REFINER


def mean_refiner(files: list[Path], out: Path) -> Path:
    """Write the mean of refiners' files, each of which may be a labeler with its refiner."""
    read = [REFINER.read(file) for file in files]
    tensors = {
        name: torch.stack([each[name].float() for each, _ in read]).mean(0).to(value.dtype)
        for name, value in read[-1][0].items()
    }
    file = out / REFINER.file_name
    save_tensors(file, tensors, read[-1][1])
    return file


def main() -> None:
    """Read the arguments, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(join_refiner(mean_refiner(arguments.files, arguments.out), None, arguments.out))


if __name__ == "__main__":
    main()
