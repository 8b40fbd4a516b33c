import pytest
import torch
import torch.nn.functional as F
from torchvision.models import vgg11, vgg16

from bana.errors import CheckpointError
from bana.nn.vgg import CAFFE_MEAN_BGR, IMAGENET_MEAN, IMAGENET_STD, LargeFOV, largefov_weights

LAYERS = [f"conv{block}_{i}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, count + 1)]


@pytest.fixture(scope="module")
def torchvision_state():
    torch.manual_seed(0)
    return vgg16(weights=None).state_dict()


@pytest.fixture(scope="module")
def network(torchvision_state):
    network = LargeFOV().eval()
    network.load_state_dict(largefov_weights(torchvision_state, "test"))
    return network


@pytest.fixture(scope="module")
def caffe_state():
    """A 20M network under Caffe's names, with biases that are not zero and a classifier layer."""
    torch.manual_seed(1)
    state = LargeFOV().state_dict()
    return {**state, "fc8_voc12.weight": torch.zeros(21, 1024, 1, 1), "fc8_voc12.bias": torch.zeros(21)}


def test_convolutions_are_torchvisions_up_to_the_first_pool(network, torchvision_state):
    """Block 1 on the same input gives what torchvision's first four modules give."""
    original = vgg16(weights=None).features.eval()
    original.load_state_dict(
        {k.removeprefix("features."): v for k, v in torchvision_state.items() if k.startswith("features.")}
    )
    images = torch.randn(1, 3, 33, 33)
    with torch.no_grad():
        own = network.conv1_2(network.conv1_1(images).relu()).relu()
        torch.testing.assert_close(own, original[:4](images))


def test_every_convolution_has_torchvisions_weights(network, torchvision_state):
    numbers = sorted({int(name.split(".")[1]) for name in torchvision_state if name.startswith("features.")})
    for layer, number in zip(LAYERS, numbers, strict=True):
        for kind in ("weight", "bias"):
            assert torch.equal(
                getattr(network.get_submodule(layer), kind), torchvision_state[f"features.{number}.{kind}"]
            )


def test_fc6_and_fc7_are_subsampled_as_deeplab_did(network, torchvision_state):
    """fc6: outputs 0, 4, 8, ... and rows and columns 0, 3, 6 of the 7x7 kernel; fc7: every fourth input and output."""
    whole = torchvision_state["classifier.0.weight"].view(4096, 512, 7, 7)
    for output, row, column in [(0, 0, 0), (1, 0, 1), (5, 2, 1), (1023, 2, 2)]:
        kernel = network.fc6.weight[output, :, row, column]
        assert torch.equal(kernel, whole[4 * output, :, 3 * row, 3 * column])
    for output, source in [(0, 0), (3, 7), (1023, 1023)]:
        weight = network.fc7.weight[output, source, 0, 0]
        assert weight == torchvision_state["classifier.3.weight"][4 * output, 4 * source]
    assert torch.equal(network.fc6.bias, torchvision_state["classifier.0.bias"][::4])
    assert torch.equal(network.fc7.bias, torchvision_state["classifier.3.bias"][::4])


def test_features_are_the_layers_in_order(network):
    """The forward pass again, written out: 3x3 pools of strides 2, 2, 2, 1, 1; block 5 and fc6 dilated."""
    torch.manual_seed(2)
    images = torch.randn(1, 3, 65, 49)
    with torch.no_grad():
        x = images
        for block, (count, stride, dilation) in enumerate(
            [(2, 2, 1), (2, 2, 1), (3, 2, 1), (3, 1, 1), (3, 1, 2)], start=1
        ):
            for i in range(1, count + 1):
                layer = network.get_submodule(f"conv{block}_{i}")
                x = F.conv2d(x, layer.weight, layer.bias, padding=dilation, dilation=dilation).relu()
            x = F.max_pool2d(x, 3, stride, padding=1)
        x = F.avg_pool2d(x, 3, 1, padding=1)
        x = F.conv2d(x, network.fc6.weight, network.fc6.bias, padding=12, dilation=12).relu()
        x = F.conv2d(x, network.fc7.weight, network.fc7.bias).relu()
        (features,) = network(images)
    assert features.shape == (1, 1024, 9, 7)
    torch.testing.assert_close(features, x)
    assert features.min() >= 0


def test_half_of_fc6_is_dropped_in_training():
    """What is kept is doubled. Nothing before fc6 is dropped, so what goes into fc7 can be compared."""
    torch.manual_seed(4)
    network, given = LargeFOV(), []
    network.fc7.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    images = torch.randn(1, 3, 33, 33)
    with torch.no_grad():
        (whole,) = network.eval()(images)
        (dropped,) = network.train()(images)
        fc7 = F.conv2d(given[1], network.fc7.weight, network.fc7.bias).relu()
    kept = (given[1] > 0)[given[0] > 0]
    assert 0.45 < kept.float().mean() < 0.55
    torch.testing.assert_close(given[1][given[1] > 0], 2 * given[0][given[1] > 0])
    torch.testing.assert_close(dropped, fc7)  # fc7 is dropped by its classifier alone
    assert not torch.allclose(dropped, whole)


def test_caffe_weights_answer_as_in_caffe(caffe_state):
    """BGR less its mean through the first layer as it was, away from the zero padding, whose value differs."""
    torch.manual_seed(3)
    rgb = torch.rand(1, 3, 20, 20) * 255
    bgr = rgb.flip(1) - torch.tensor(CAFFE_MEAN_BGR).view(1, 3, 1, 1)
    weight, bias = caffe_state["conv1_1.weight"], caffe_state["conv1_1.bias"]
    caffe = F.conv2d(bgr, weight, bias)
    own = largefov_weights(caffe_state, "test")
    normalized = (rgb - torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)) / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    found = F.conv2d(normalized, own["conv1_1.weight"], own["conv1_1.bias"])
    torch.testing.assert_close(found, caffe, atol=2e-3, rtol=1e-4)
    assert caffe.abs().max() > 10
    assert torch.equal(own["fc7.weight"], caffe_state["fc7.weight"])


def test_caffe_weights_load_whole(caffe_state):
    LargeFOV().load_state_dict(largefov_weights(caffe_state, "test"))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"weight": torch.zeros(3)},
        {"features.0.weight": torch.zeros(3)},
        {"features.0.weight": torch.zeros(3), "features.x.weight": torch.zeros(3)},
    ],
)
def test_other_tensors_are_refused(state):
    with pytest.raises(CheckpointError, match=r"w\.pth: neither") as caught:
        largefov_weights(state, "w.pth")
    assert "\n" not in str(caught.value)


def test_vgg11_is_refused():
    with torch.device("meta"):
        state = vgg11(weights=None).state_dict()
    with pytest.raises(CheckpointError, match=r"w\.pth: neither"):
        largefov_weights(state, "w.pth")
