"""Colors of classes: apart from each other, and dark letters can be read on them."""

import numpy as np

from bana.data.colors import INK, PALETTE, colors_of


def test_classes_of_a_picture_differ_in_color():
    generator = np.random.default_rng(3)
    pictures = [generator.choice(40, 4, replace=False).tolist() for _ in range(8)]
    colors = colors_of(pictures)
    assert colors.keys() == {class_id for picture in pictures for class_id in picture}
    for picture in pictures:
        assert len({colors[class_id] for class_id in picture}) == 4
    assert colors_of(pictures) == colors


def test_more_classes_than_colors_share_the_palette():
    colors = colors_of([range(30)])
    assert len(colors) == 30
    assert set(colors.values()) == set(PALETTE)


def test_dark_letters_can_be_read_on_every_color():
    for color in PALETTE:
        assert (luminance(color) + 0.05) / (luminance(INK) + 0.05) > 6  # WCAG asks for 4.5


def luminance(color):
    channels = np.array(color) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)
