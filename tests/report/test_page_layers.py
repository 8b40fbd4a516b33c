"""The small pictures that lie on a photograph."""

import io

import numpy as np
from PIL import Image

from bana.data.colors import ALARM
from bana.report.page.layers import class_layer, confidence_layer, photo_layer, shown_size, unreliable_layer
from bana.report.panels import confidence_panel


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def test_size_keeps_the_shape_and_is_never_enlarged():
    assert shown_size(1000, 500, 480) == (480, 240)
    assert shown_size(300, 200, 480) == (300, 200)
    assert shown_size(10000, 3, 480) == (480, 1)


def test_classes_have_their_colors_and_the_rest_is_transparent():
    labels = np.zeros((40, 60), np.uint16)
    labels[:, 20:40], labels[:, 40:] = 7, 65535
    layer = opened(class_layer(labels, {7: (10, 20, 30), 8: (1, 1, 1)}, (30, 20)))
    assert layer.shape == (20, 30, 4)
    assert (layer[:, :10, 3] == 0).all()
    assert (layer[:, 20:, 3] == 0).all()
    assert (layer[:, 10:20] == (10, 20, 30, 255)).all()


def test_unreliable_pixels_are_striped():
    unreliable = np.zeros((30, 30), bool)
    unreliable[:, 15:] = True
    layer = opened(unreliable_layer(unreliable, (30, 30)))
    assert (layer[:, :15, 3] == 0).all()
    striped = layer[:, 15:, 3] == 255
    assert 0.6 < striped.mean() < 0.75
    assert (layer[:, 15:][striped][:, :3] == ALARM).all()


def test_confidence_is_within_a_step_of_its_color():
    values = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(8, 0)
    layer = opened(confidence_layer(values, (64, 8)))
    assert (layer[..., 3] == 255).all()
    steps = np.rint(values * 31) / 31
    np.testing.assert_array_equal(layer[..., :3], confidence_panel(steps.astype(np.float32)))


def test_the_photo_layer_keeps_the_colors():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = (200, 40, 90)
    layer = opened(photo_layer(image, (100, 50))).astype(int)
    assert layer.shape == (50, 100, 4)
    assert abs(layer[25, 80, :3] - (200, 40, 90)).max() < 8
    assert layer[25, 20, :3].max() < 8
