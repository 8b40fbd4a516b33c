import urllib.request

import pytest
import timm
import torch
import torch.nn.functional as F
from torchvision.models import resnet101

from bana.data.images import open_image
from bana.data.sample import FOLDER
from bana.errors import CheckpointError, SettingsError
from bana.nn.backbones import create_backbone
from bana.nn.weights import digest, embedded_lite, rename_in_order


@pytest.fixture(scope="module")
def lite0():
    return create_backbone("lite0").eval()


def features(backbone, height, width):
    torch.manual_seed(0)
    with torch.no_grad():
        return backbone.eval()(torch.rand(1, 3, height, width) * 255)


def sizes(maps):
    return [tuple(each.shape) for each in maps]


def test_lite0_has_247_embedded_tensors_all_of_which_load():
    state = embedded_lite("lite0")
    assert len(state) == 247
    full = timm.create_model("tf_efficientnet_lite0")
    own = {name: value for name, value in full.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert [value.shape for value in state.values()] == [value.shape for value in own.values()]


def test_lite0_has_the_embedded_weights(lite0):
    values = list(embedded_lite("lite0").values())
    assert torch.equal(lite0.network.conv_stem.weight, values[0])
    assert not torch.equal(create_backbone("lite0", "random").network.conv_stem.weight, values[0])
    assert digest(lite0.state_dict()) == digest(create_backbone("lite0").state_dict())


@pytest.mark.parametrize(("photo", "number"), [("000000000285", 294), ("000000008844", 954)])
def test_the_embedded_weights_classify_photographs(photo, number):
    """A brown bear and bananas, by ImageNet's numbers: timm's whole network under the renamed tensors."""
    full = timm.create_model("tf_efficientnet_lite0").eval()
    names = [name for name in full.state_dict() if not name.endswith("num_batches_tracked")]
    full.load_state_dict(rename_in_order(embedded_lite("lite0"), names, "test"), strict=False)
    pixels = torch.from_numpy(open_image(FOLDER / "images" / f"{photo}.jpg")).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        probabilities = full((pixels - 127) / 128).softmax(1)[0]
    assert probabilities[number] > 0.9


def test_lite0_has_maps_of_strides_8_16_and_32(lite0):
    maps = features(lite0, 97, 65)
    assert lite0.info.strides == (8, 16, 32)
    assert lite0.info.multiple == 32
    shapes = zip(lite0.info.channels, [(13, 9), (7, 5), (4, 3)], strict=True)
    assert sizes(maps) == [(1, channels, *cells) for channels, cells in shapes]
    assert all(each.isfinite().all() for each in maps)


@pytest.mark.parametrize(
    ("name", "pyramid", "channels"),
    [
        ("lite0", True, (16, 24, 40, 112, 320)),
        ("lite2", True, (16, 24, 48, 120, 352)),
        ("lite2", False, (48, 120, 1280)),
    ],
)
def test_a_pyramid_has_maps_of_all_strides(name, pyramid, channels):
    backbone = create_backbone(name, "random", pyramid)
    maps = features(backbone, 97, 65)
    assert backbone.info.channels == channels
    assert backbone.info.strides == ((2, 4, 8, 16, 32) if pyramid else (8, 16, 32))
    assert backbone.info.multiple == 32
    for each, stride, count in zip(maps, backbone.info.strides, channels, strict=True):
        assert each.shape == (1, count, 96 // stride + 1, 64 // stride + 1)
        assert each.isfinite().all()
    torch.stack([each.sum() for each in backbone(torch.rand(1, 3, 33, 33))]).sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())  # no layer is there for nothing


def test_a_pyramid_has_the_embedded_weights_and_the_maps_of_three_strides(lite0):
    pyramid = create_backbone("lite0", pyramid=True)
    plain, finer = features(lite0, 65, 65), features(pyramid, 65, 65)
    for one, other in zip(plain[:2], finer[2:4], strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("model", ["resnet18", "mobilenetv3_small_050"])
def test_a_timm_model_gives_a_pyramid_too(model):
    backbone = create_backbone(f"timm:{model}", "random", pyramid=True)
    assert backbone.info.strides == (2, 4, 8, 16, 32)
    cells = [(64 // stride + 1, 96 // stride + 1) for stride in backbone.info.strides]
    assert sizes(features(backbone, 65, 97)) == [
        (1, count, *size) for count, size in zip(backbone.info.channels, cells, strict=True)
    ]


def test_late_layers_of_a_pyramid_are_those_behind_stride_2():
    backbone = create_backbone("lite0", "random", pyramid=True)
    backbone.train_only("late")
    assert {name.split(".")[2] for name in trained(backbone)} == {"1", "2", "3", "4", "5", "6"}


@pytest.mark.parametrize(("name", "pyramid"), [("lite0", False), ("lite0", True), ("lite2", True)])
def test_corner_cells_sit_on_corner_pixels(name, pyramid):
    """Mirrored images give mirrored features only if the grid of cells is symmetric in the image."""
    torch.manual_seed(0)
    random = create_backbone(name, "random", pyramid).eval()
    for module in random.modules():
        if isinstance(module, torch.nn.Conv2d):  # left-right symmetric filters, so that only the grid can break it
            module.weight.data = (module.weight.data + module.weight.data.flip(3)) / 2
    images = torch.rand(1, 3, 65, 97) * 255
    with torch.no_grad():
        for maps, mirrored in zip(random(images), random(images.flip(3)), strict=True):
            torch.testing.assert_close(maps, mirrored.flip(3), atol=1e-4, rtol=1e-3)


def test_a_backbone_normalizes_images_itself(lite0):
    torch.manual_seed(0)
    images = torch.rand(1, 3, 65, 65) * 255
    with torch.no_grad():
        for own, expected in zip(lite0(images), lite0.network((images - 127) / 128), strict=True):
            torch.testing.assert_close(own, expected)


def test_resnet101_has_stride_8():
    backbone = create_backbone("resnet101", "random")
    assert sizes(features(backbone, 65, 49)) == [(1, 2048, 9, 7)]
    assert (backbone.info.channels, backbone.info.strides) == ((2048,), (8,))


def test_resnet50_has_all_feature_maps():
    backbone = create_backbone("resnet50", "random")
    assert sizes(features(backbone, 65, 97)) == [(1, 256, 17, 25), (1, 512, 9, 13), (1, 1024, 5, 7), (1, 2048, 3, 4)]
    assert backbone.info.channels == (256, 512, 1024, 2048)
    assert backbone.info.strides == (4, 8, 16, 32)


def test_resnet101_takes_torchvisions_file(tmp_path):
    torch.manual_seed(0)
    state = resnet101(weights=None).state_dict()
    torch.save(state, tmp_path / "r.pth")
    network = create_backbone("resnet101", str(tmp_path / "r.pth")).network
    assert torch.equal(network.body[0].weight, state["conv1.weight"])
    assert torch.equal(network.body[7][2].conv3.weight, state["layer4.2.conv3.weight"])
    torch.save(next(iter(state.values())), tmp_path / "t.pth")
    with pytest.raises(CheckpointError, match=r"t\.pth: not a state dict"):
        create_backbone("resnet101", str(tmp_path / "t.pth"))


def test_vgg16_has_stride_8():
    backbone = create_backbone("vgg16", "random")
    assert sizes(features(backbone, 65, 49)) == [(1, 1024, 9, 7)]


@pytest.mark.parametrize("model", ["resnet18", "resnet18.tv_in1k", "mobilenetv3_small_050"])
def test_any_timm_model_gives_feature_maps(model):
    backbone = create_backbone(f"timm:{model}", "random")
    maps = features(backbone, 65, 97)
    assert tuple(each.shape[1] for each in maps) == backbone.info.channels
    assert backbone.info.strides == (8, 16, 32)
    for each, stride in zip(maps, backbone.info.strides, strict=True):
        assert each.shape[2:] == (64 // stride + 1, 96 // stride + 1)
    assert backbone.info.mean[0] == pytest.approx(255 * timm.get_pretrained_cfg(model).mean[0])


def test_a_timm_model_takes_weights_of_a_file(tmp_path):
    """A whole classifier's file serves; its last layer is left out."""
    torch.manual_seed(0)
    model = timm.create_model("resnet18")
    torch.save(model.state_dict(), tmp_path / "r.pth")
    backbone = create_backbone("timm:resnet18", str(tmp_path / "r.pth")).eval()
    images = torch.rand(1, 3, 65, 65) * 255
    with torch.no_grad():
        expected = model.eval().forward_features((images - backbone.mean) / backbone.std)
        torch.testing.assert_close(backbone(images)[-1], expected)


@pytest.mark.parametrize("name", ["lite1", "", "VGG16", "timm:no_such_model", "timm:"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(SettingsError) as caught:
        create_backbone(name)
    assert "\n" not in str(caught.value)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and empty caches."""

    def refused(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr("torch.hub.urlopen", refused)
    monkeypatch.setattr("timm.models._builder.load_pretrained", refused)
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize(
    ("name", "file"),
    [("vgg16", "vgg16-397923af.pth"), ("resnet50", "resnet50-11ad3fa6.pth"), ("resnet101", "resnet101-cd907fc2.pth")],
)
def test_a_download_that_fails_says_what_to_fetch_and_where_to_put_it(offline, name, file):
    with pytest.raises(SettingsError) as caught:
        create_backbone(name)
    text = str(caught.value)
    assert f"https://download.pytorch.org/models/{file}" in text
    assert str(offline / "checkpoints") in text
    assert "lite0" in text
    assert "\n" not in text


def test_a_timm_download_that_fails_says_what_to_fetch(offline):
    with pytest.raises(SettingsError, match=r"huggingface\.co/timm/resnet18.*backbone_weights"):
        create_backbone("timm:resnet18")


def test_a_weights_file_of_another_model_is_refused(tmp_path):
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "r18.pth")
    for name in ("lite0", "vgg16", "resnet101", "timm:resnet26"):
        with pytest.raises(CheckpointError, match=r"r18\.pth") as caught:
            create_backbone(name, str(tmp_path / "r18.pth"))
        assert "\n" not in str(caught.value)


def trained(backbone):
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


def test_late_layers_are_those_that_the_finest_map_does_not_see():
    backbone = create_backbone("lite0", "random")
    before = digest(backbone.state_dict())
    backbone.train_only("late")
    assert digest(backbone.state_dict()) == before
    maps = backbone.eval()(torch.rand(1, 3, 65, 65) * 255)
    assert not maps[0].requires_grad
    assert all(each.requires_grad for each in maps[1:])
    late = trained(backbone)
    assert "network.blocks.2.0.conv_pw.weight" not in late
    assert {"network.blocks.3.0.conv_pw.weight", "network.bn2.bias"} <= late
    backbone.train_only("all")
    assert trained(backbone) == {name for name, _ in backbone.named_parameters()}
    backbone.train_only("none")
    assert not trained(backbone)


def test_late_layers_of_a_timm_model():
    backbone = create_backbone("timm:resnet18", "random")
    backbone.train_only("late")
    assert {name.split(".")[1] for name in trained(backbone)} == {"layer3", "layer4"}


def test_a_backbone_of_one_map_has_no_late_layers():
    with pytest.raises(SettingsError, match="one map"):
        create_backbone("vgg16", "random").train_only("late")
