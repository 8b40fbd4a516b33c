import numpy as np
import pytest
import torch

from bana.refine.model import REFINER, WIDTHS, BoxRefiner, PyramidDecoder, position_maps
from bana.refine.settings import RefineSettings

CHANNELS = (4, 6, 8)


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return PyramidDecoder(CHANNELS, context=1.5)


def features(side=17, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    cells = (side, (side - 1) // 2 + 1, (side - 1) // 4 + 1)
    return [torch.randn(batch, count, n, n, generator=generator) for count, n in zip(CHANNELS, cells, strict=True)]


def test_positions_are_distances_from_the_sides_of_the_box():
    """Of 33 cells in a window of 1.5 sides, 11 cells are half a side of the box."""
    maps = position_maps(33, 33, context=1.5)
    assert maps.shape == (1, 3, 33, 33)
    across, down, outline = maps[0]
    expected = 1 - np.abs(np.arange(-16, 17)) * 1.5 / 16
    np.testing.assert_allclose(across, np.tile(expected, (33, 1)), atol=1e-6)
    np.testing.assert_allclose(down, across.T, atol=1e-6)
    assert (outline == 1).sum() == 17 * 17  # deeper in the box than a quarter of half a side
    inside = np.abs(np.arange(-16, 17)) * 1.5 / 16 < 1
    np.testing.assert_array_equal(outline > 0, np.outer(inside, inside))
    assert outline.min() == -1
    assert position_maps(9, 17, context=2.0).shape == (1, 3, 9, 17)


def test_the_decoder_gives_a_logit_for_each_cell_of_the_finest_map(decoder):
    maps = features()
    logits = decoder(maps)
    assert logits.shape == (2, 1, 17, 17)
    assert [norm.num_features for norm in decoder.normalise] == list(CHANNELS)
    assert [mix.out_channels for mix in decoder.mix] == list(WIDTHS[-3:])
    logits.sum().backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in decoder.parameters())


@pytest.mark.parametrize("level", range(3))
def test_every_level_has_an_influence(decoder, level):
    decoder.eval()
    other = features()
    other[level] = features(seed=1)[level]
    assert not torch.allclose(decoder(features()), decoder(other))


def test_a_cell_knows_where_it_is(decoder):
    """A window without content: what differs between cells is where they lie in the box."""
    decoder.eval()
    with torch.no_grad():
        flat = decoder([torch.zeros_like(each) for each in features()])[0, 0]
    assert flat.std() > 1e-3


def test_a_network_of_all_five_maps_learns_them_all():
    settings = RefineSettings(backbone="lite0", train_backbone="late", crop_size=33)
    model = REFINER.build(settings, 3, seed=0)
    assert isinstance(model, BoxRefiner)
    assert model.training
    images = 255 * torch.rand(2, 3, 33, 33, generator=torch.Generator().manual_seed(0))
    logits = model(images)
    assert logits.shape == (2, 17, 17)
    logits.square().sum().backward()
    untrained = {name for name, tensor in model.named_parameters() if tensor.requires_grad and tensor.grad is None}
    assert not untrained


def test_the_seed_makes_the_same_refiner_whatever_the_classes():
    settings = RefineSettings(backbone="lite0", train_backbone="none", crop_size=33)
    first, second, third = (REFINER.build(settings, *given).trained_state() for given in ((3, 1), (7, 1), (3, 2)))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.output.weight"], third["head.output.weight"])
