"""ResNets and the names of their weights; DeepLab-V2's own."""

import pytest
import torch
from torchvision.models import resnet101

from bana.errors import CheckpointError, SettingsError
from bana.nn.backbones import create_backbone
from bana.nn.resnet import deeplab_resnet101, resnet_weights
from bana.nn.vgg import CAFFE_MEAN_BGR


@pytest.fixture(scope="module")
def file():
    """A state dict with torchvision's names."""
    torch.manual_seed(0)
    return resnet101().state_dict()


def spelled_out(name):
    """The name of a tensor in the implementation that spells out what a block does."""
    if name.startswith(("conv1.", "bn1.")):
        return f"layer1.conv1.{name.replace('conv1.', 'conv.').replace('bn1.', 'bn.')}"
    stage, block, part, *rest = name.split(".")
    start = f"layer{int(stage.removeprefix('layer')) + 1}.block{int(block) + 1}"
    if part == "downsample":
        return ".".join([start, "shortcut", "conv" if rest[0] == "0" else "bn", *rest[1:]])
    kind = part.rstrip("123")
    return ".".join([start, {"1": "reduce", "2": "conv3x3", "3": "increase"}[part[-1]], kind, *rest])


LAYOUTS = {
    "torchvision": lambda name: name,
    "DataParallel": lambda name: f"module.{name}",
    "with a scale": lambda name: f"Scale.{name}",
    "spelled out": lambda name: name if name.startswith("fc.") else spelled_out(name),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_tensors(file, layout):
    renamed = {LAYOUTS[layout](name): value for name, value in file.items()}
    renamed |= {"Scale.layer5.conv2d_list.0.weight": torch.zeros(21, 2048, 3, 3)}
    network = deeplab_resnet101()
    found = resnet_weights(dict(reversed(renamed.items())), network, "w.pth")  # the order says nothing
    names = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    assert set(found) == names
    torch.testing.assert_close(found["body.0.weight"], file["conv1.weight"])
    torch.testing.assert_close(found["body.6.22.bn3.running_var"], file["layer3.22.bn3.running_var"])
    torch.testing.assert_close(found["body.5.0.downsample.0.weight"], file["layer2.0.downsample.0.weight"])


def test_a_tensor_of_another_name_is_refused(file):
    with pytest.raises(CheckpointError, match=r"w\.pth: has a tensor 'stem\.weight', which is not of a ResNet"):
        resnet_weights({**file, "stem.weight": torch.zeros(1)}, deeplab_resnet101(), "w.pth")


@pytest.mark.parametrize("name", ["resnet101", "resnet101-deeplab"])
def test_a_stripped_file_is_refused(file, tmp_path, name):
    stripped = {str(number): value for number, value in enumerate(file.values())}
    torch.save(stripped, tmp_path / "order.pth")
    with pytest.raises(CheckpointError, match=r"order\.pth: has a tensor '0'"):
        create_backbone(name, str(tmp_path / "order.pth"))
    torch.save({key: value for key, value in file.items() if key != "layer4.2.conv3.weight"}, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match=r"part\.pth: weights of another model \(differs at body\.7\.2\.conv3"):
        create_backbone(name, str(tmp_path / "part.pth"))


def test_deeplab_s_network_takes_bgr_without_its_own_mean(file, tmp_path):
    torch.save(file, tmp_path / "w.pth")
    backbone = create_backbone("resnet101-deeplab", str(tmp_path / "w.pth")).eval().double()
    plain = deeplab_resnet101().eval().double()
    plain.load_state_dict(resnet_weights(file, plain, "w.pth"), strict=False)
    image = torch.rand(1, 3, 65, 81, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        (found,) = backbone(image)
        (expected,) = plain(image.flip(1) - torch.tensor(CAFFE_MEAN_BGR).view(3, 1, 1))
    assert found.shape == (1, 2048, 9, 11)
    torch.testing.assert_close(found, expected)


def test_deeplab_s_blocks_stride_first_and_are_dilated_throughout():
    body = deeplab_resnet101().body
    assert (body[5][0].conv1.stride, body[5][0].conv2.stride) == ((2, 2), (1, 1))
    for stage, dilation in ((body[6], 2), (body[7], 4)):
        for block in stage:
            assert block.conv2.dilation == block.conv2.padding == (dilation, dilation)
            assert block.conv1.stride == block.conv2.stride == (1, 1)


def test_deeplab_s_network_has_no_default_weights():
    with pytest.raises(SettingsError, match="resnet101-deeplab has no default; name the file"):
        create_backbone("resnet101-deeplab")
