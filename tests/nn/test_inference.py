"""Networks at work: folded normalizations, and the number type that they compute in."""

import pytest
import torch
from torch import nn

from bana.errors import SettingsError
from bana.nn import inference
from bana.nn.backbones import create_backbone
from bana.nn.inference import at_work, computing
from bana.nn.network import Network


def with_statistics(network):
    """A network whose normalizations do something."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_(0, 0.1)
    return network.eval()


@pytest.mark.parametrize("name", ["lite0", "resnet50", "timm:resnetv2_50", "timm:densenet121"])
@torch.inference_mode()
def test_a_network_at_work_gives_what_the_network_gives(name):
    network = Network(with_statistics(create_backbone(name, "random")), None)
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.rand(2, 3, 97, 97) * 255
    found = at_work(network, "cpu")
    for one, other in zip(found.feature_maps(images), network.feature_maps(images), strict=True):
        assert (one - other).norm() < 1e-4 * other.norm()
    normalizations = [sum(isinstance(m, nn.BatchNorm2d) for m in each.modules()) for each in (found, network)]
    assert normalizations[0] < normalizations[1]
    assert all(torch.equal(value, kept[key]) for key, value in network.state_dict().items())


def test_no_normalization_is_left_in_the_embedded_backbone():
    network = at_work(Network(create_backbone("lite0", "random").eval(), None), "cpu")
    assert not [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(SettingsError, match="device 'cuda:77'"):
        at_work(Network(create_backbone("lite0", "random"), None), "cuda:77")


def product_type(precision):
    with computing(precision, "cpu"):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize("able", [True, False])
def test_numbers_are_short_where_the_processor_multiplies_them(able, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able, "avx2": True}, raising=False)
    assert product_type("auto") == (torch.bfloat16 if able else torch.float32)
    assert product_type("float32") == torch.float32
    assert product_type("bfloat16") == torch.bfloat16


def test_a_torch_that_does_not_know_the_processor_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not inference._has_bfloat16()
    assert product_type("auto") == torch.float32
