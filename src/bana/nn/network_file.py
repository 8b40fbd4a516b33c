"""Files of trained networks: their own tensors, and what must be known to build them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from bana._version import __version__
from bana.engine.checkpoint import load_metadata, load_tensors, save_tensors
from bana.errors import CheckpointError, SettingsError
from bana.io.strict_json import is_text
from bana.nn.network import AnyNetwork, Network
from bana.nn.training import TrainingSettings
from bana.nn.weights import digest


def save_network(path: Path, network: Network, kind: str, facts: dict[str, Any]) -> None:
    """Write a network's own tensors, matrices and kernels in half precision, and its facts.

    What was not trained of the backbone is not in it, but recognized by its digest.

    Raises:
        OutputError: If the file cannot be written.
    """
    tensors = {name: value.half() if value.ndim > 1 else value for name, value in network.trained_state().items()}
    own = {"kind": kind, "version": __version__, "backbone_digest": digest(network.frozen_state())}
    save_tensors(path, tensors, facts | own)


def read_network(path: Path, kind: str, command: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of a file that save_network wrote.

    Args:
        path: The file.
        kind: That it must be of.
        command: That writes such files, for the message.

    Raises:
        CheckpointError: If it is missing, damaged or of another kind.
    """
    tensors, facts = load_tensors(path)
    _check_kind(path, facts, kind, command)
    return tensors, facts


def read_network_facts(path: Path, kind: str, command: str) -> dict[str, Any]:
    """The facts alone. Raises CheckpointError as read_network does."""
    facts = load_metadata(path)
    _check_kind(path, facts, kind, command)
    return facts


@contextmanager
def of_this_version(path: Path) -> Iterator[None]:
    """Within this block a file's facts are read; what is missing or not allowed there is a CheckpointError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise CheckpointError(
            f"{path}: of another version of bana ({error}); train again, or install that one"
        ) from error


def class_names(facts: dict[str, Any]) -> tuple[str, ...]:
    """The L names of a file's classes. Raises KeyError or TypeError if it has none, or something else."""
    names = facts["classes"]
    if not isinstance(names, list) or not all(isinstance(name, str) and is_text(name) for name in names):
        raise TypeError("its classes are not a list of names")
    return tuple(names)


def rebuilt(
    build: Callable[[str | None], AnyNetwork],
    settings: TrainingSettings,
    tensors: dict[str, Tensor],
    facts: dict[str, Any],
    path: Path,
) -> AnyNetwork:
    """The network of a file, switched to inference.

    Args:
        build: Makes it, given backbone weights instead of those that the settings name; None: those.
        settings: That it was trained with.
        tensors: Of the file.
        facts: Of the file.
        path: The file.

    Raises:
        CheckpointError: If the tensors are of another network, or were trained on other backbone weights.
        SettingsError: If its backbone's weights cannot be had.
    """
    network = build("random" if settings.train_backbone == "all" else None)
    if digest(network.frozen_state()) != facts.get("backbone_digest"):
        raise CheckpointError(f"{path}: trained on other weights of {settings.backbone}; install those, or train again")
    network.load_trained_state(tensors, str(path))
    return network.eval()


def network_path(file_or_run: Path, stage: str, name: str) -> Path:
    """A network's file itself, or the one of that name in the run folder of its stage or of ``bana run``."""
    if not file_or_run.is_dir():
        return file_or_run
    whole = file_or_run / stage / name
    return whole if whole.is_file() else file_or_run / name


def _check_kind(path: Path, facts: dict[str, Any], kind: str, command: str) -> None:
    if facts.get("kind") != kind:
        raise CheckpointError(f"{path}: not a {kind}; choose a {kind}.safetensors that `{command}` wrote")
