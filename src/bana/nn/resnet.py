"""ResNets as backbones: torchvision's, and ResNet-101 as DeepLab-V2 has it from Caffe.

Files of ResNet weights go by many names for the same tensors. Names are mapped to torchvision's, and a file with a
tensor of any other name is refused: the order of tensors in a file says nothing of what they are.
"""

from __future__ import annotations

import re

import torchvision
from torch import Tensor, nn

from bana.errors import CheckpointError

State = dict[str, Tensor]
"""Tensors by name."""

_COUNTER = "num_batches_tracked"
_STEM = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
"""The parts of torchvision's ResNet up to its last block, in order."""

_PREFIXES = ("module.", "Scale.", "base.")
"""What wrappers put before all names: DataParallel, and two implementations of DeepLab's scales."""

_CLASSIFIERS = ("fc.", "layer5.conv2d_list.", "aspp.")
"""Layers that classify ImageNet's images or COCO's pixels; they are left out."""

_OTHER_NAMES = (
    # An implementation that numbers its stages from the stem on, and spells out what a block does.
    (re.compile(r"layer1\.conv1\.conv\."), "conv1."),
    (re.compile(r"layer1\.conv1\.bn\."), "bn1."),
    (re.compile(r"layer([2-5])\.block(\d+)\.(reduce|conv3x3|increase|shortcut)\.(conv|bn)\."), None),
)
_IN_BLOCK = {"reduce": "1", "conv3x3": "2", "increase": "3"}


class ResNetMaps(nn.Module):
    """A ResNet of torchvision up to its last block: the maps of its last ``feature_maps`` stages."""

    def __init__(self, full: nn.Module, feature_maps: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*[full.get_submodule(name) for name in _STEM])
        self._first = len(self.body) - feature_maps

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of normalized images (N, 3, H, W), finest first."""
        maps, x = [], images
        for number, module in enumerate(self.body):
            x = module(x)
            if number >= self._first:
                maps.append(x)
        return maps


def dilated_resnet101() -> ResNetMaps:
    """Torchvision's ResNet-101 dilated to stride 8: the first block of a dilated stage has the dilation before it."""
    return ResNetMaps(torchvision.models.resnet101(replace_stride_with_dilation=[False, True, True]), 1)


def deeplab_resnet101() -> ResNetMaps:
    """DeepLab-V2's ResNet-101 (Chen et al., 2018): as in Caffe, blocks stride in their first convolution.

    Every block of stage 4 has dilation 2, and of stage 5 dilation 4. The third stage halves its map by a 1x1
    convolution, where torchvision's does by the 3x3 one.
    """
    full = torchvision.models.resnet101()
    first = full.layer2[0]
    first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride
    for stage, dilation in ((full.layer3, 2), (full.layer4, 4)):
        for block in stage:
            block.conv2.dilation = block.conv2.padding = (dilation, dilation)
        stage[0].conv2.stride = stage[0].downsample[0].stride = (1, 1)
    return ResNetMaps(full, 1)


def resnet_weights(state: State, network: ResNetMaps, source: str) -> State:
    """The tensors of a file under a network's names.

    Args:
        state: torchvision's names, or those of a PyTorch version of DeepLab-V2's Caffe network; batch counters and
            classifiers may be there or not.
        network: The network, for the names that it wants.
        source: The file, for messages.

    Raises:
        CheckpointError: If a name is not known.
    """
    wanted = {name for name in network.state_dict() if not name.endswith(_COUNTER)}
    found = {}
    for name, value in state.items():
        plain = _torchvision_name(name)
        if plain.startswith(_CLASSIFIERS) or plain.endswith(_COUNTER):
            continue
        part, _, rest = plain.partition(".")
        ours = f"body.{_STEM.index(part)}.{rest}" if part in _STEM else plain
        if ours not in wanted:
            raise CheckpointError(
                f"{source}: has a tensor {name!r:.80}, which is not of a ResNet as torchvision or DeepLab-V2 names it; "
                "choose another weights file"
            )
        found[ours] = value
    return found


def from_bgr(state: State) -> State:
    """Weights for RGB of a network that took BGR: the first convolution's channels are turned around."""
    return state | {"body.0.weight": state["body.0.weight"].flip(1)} if "body.0.weight" in state else state


def _torchvision_name(name: str) -> str:
    """The name that torchvision gives a tensor; another name comes back without its prefix."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    for pattern, plain in _OTHER_NAMES:
        if match := pattern.match(name):
            rest = name[match.end() :]
            if plain is not None:
                return plain + rest
            stage, block, what, kind = match.groups()
            start = f"layer{int(stage) - 1}.{int(block) - 1}."
            if what == "shortcut":
                return f"{start}downsample.{'0' if kind == 'conv' else '1'}.{rest}"
            return f"{start}{'conv' if kind == 'conv' else 'bn'}{_IN_BLOCK[what]}.{rest}"
    return name
