"""Checkpoints: tensors and JSON metadata in one safetensors file, written atomically. No pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, optim

from bana.errors import CheckpointError
from bana.io.files import write_bytes

_KEY = "bana"


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and metadata to one file. Raises OutputError if it cannot be written."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(contiguous, {_KEY: json.dumps(metadata, sort_keys=True)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what save_tensors wrote.

    Raises:
        CheckpointError: If the file is missing, damaged, or not one of bana's.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _metadata(file)  # noqa: SIM118 (no mapping)


def load_metadata(path: Path) -> dict[str, Any]:
    """The metadata alone of what save_tensors wrote. Raises CheckpointError as load_tensors does."""
    with _opened(path) as file:
        return _metadata(file)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a file that bana saved, or a damaged one; train again or choose another"
        ) from error


def _metadata(file: Any) -> dict[str, Any]:
    metadata = json.loads((file.metadata() or {})[_KEY])
    if not isinstance(metadata, dict):
        raise ValueError("metadata is not an object")
    return metadata


def optimizer_tensors(optimizer: optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as named tensors: ``<parameter number>.<what>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{what}": value
        for number, entry in state.items()
        for what, value in entry.items()
        if value is not None
    }


def restore_optimizer(optimizer: optim.Optimizer, tensors: dict[str, Tensor], source: Path) -> None:
    """Put back what optimizer_tensors gave.

    Raises:
        CheckpointError: If a name or shape is not one that the optimizer can have, naming ``source``.
    """
    groups = optimizer.state_dict()["param_groups"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, what = name.partition(".")
        known = number.isdecimal() and number.isascii() and len(number) < 9 and int(number) < len(parameters)
        if not known or value.shape not in (parameters[int(number)].shape, ()):
            raise CheckpointError(
                f"{source}: the optimizer has no {name!r:.80} of this shape; begin anew in another --out"
            )
        state.setdefault(int(number), {})[what] = value
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{source}: the optimizer lacks {error}; begin anew in another --out") from error
