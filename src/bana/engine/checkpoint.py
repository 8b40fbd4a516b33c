"""Checkpoints: tensors and JSON metadata in one safetensors file, written atomically. No pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, amp, optim

from bana.errors import CheckpointError
from bana.io.files import write_bytes

_KEY = "bana"


class Model(Protocol):
    """A network that knows which of its tensors training changes."""

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors to save."""

    def load_trained_state(self, state: dict[str, Tensor], source: str) -> None:
        """Put them back. Raises CheckpointError if they are of another model."""

    def train(self, mode: bool = True) -> Any:
        """Switch between training and inference."""


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


def save_checkpoint(
    path: Path, model: Model, optimizer: optim.Optimizer, scaler: amp.GradScaler, facts: dict[str, Any]
) -> None:
    """Write the state of a training run.

    Args:
        path: The file.
        model: The network; its ``trained_state`` is saved.
        optimizer: What trains it.
        scaler: The scale of its loss.
        facts: How far the run came and what it depends on: ``steps``, ``best`` and ``identity``.

    Raises:
        OutputError: If the file cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in model.trained_state().items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(optimizer).items()}
    save_tensors(path, tensors, facts | {"scaler": scaler.state_dict()})


def restore_checkpoint(
    path: Path, model: Model, optimizer: optim.Optimizer, scaler: amp.GradScaler, identity: dict[str, Any]
) -> tuple[int, float | None]:
    """Put back what save_checkpoint wrote, if there is such a file.

    Args:
        path: The file.
        model: Gets its tensors.
        optimizer: Gets its state.
        scaler: Gets its scale.
        identity: What the run depends on.

    Returns:
        The steps that the run has taken (0 without a file), and its best score so far.

    Raises:
        CheckpointError: If the file is damaged or of another run.
    """
    if not path.exists():
        return 0, None
    check_same_run(path, identity)
    tensors, facts = load_tensors(path)
    model.load_trained_state(_with_prefix("model.", tensors), str(path))
    restore_optimizer(optimizer, _with_prefix("optimizer.", tensors), path)
    steps, best, scale = facts.get("steps"), facts.get("best"), facts.get("scaler") or {}
    is_sound = isinstance(scale, dict) and scale.keys() >= scaler.state_dict().keys()
    if type(steps) is not int or steps < 0 or not is_sound or not all(map(_is_number, (best, *scale.values()))):
        raise CheckpointError(f"{path}: does not say how far its run came; begin anew in another --out")
    scaler.load_state_dict(scale)
    return steps, best


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _is_number(value: object) -> bool:
    return type(value) in (int, float, type(None))


def check_same_run(checkpoint: Path, identity: dict[str, Any]) -> None:
    """Refuse a checkpoint of another run, if there is one.

    Raises:
        CheckpointError: If the file is damaged, or its identity is another; says what differs.
    """
    if not checkpoint.exists():
        return
    before = load_metadata(checkpoint).get("identity")
    changed = sorted(_differences(before if isinstance(before, dict) else {}, identity))
    if changed:
        raise CheckpointError(
            f"{checkpoint}: belongs to a run with other {', '.join(changed)}; repeat that run's options to continue "
            "it, or choose another --out"
        )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """The names under which two nested mappings differ, joined by dots."""
    for name in before.keys() | now.keys():
        first, second = before.get(name), now.get(name)
        if isinstance(first, dict) and isinstance(second, dict):
            yield from (f"{name}.{inner}" for inner in _differences(first, second))
        elif first != second:
            yield name
