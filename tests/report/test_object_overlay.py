import pickle
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bana.data.colors import PALETTE
from bana.data.records import ClassTable
from bana.instance import Detections
from bana.report.object_overlay import objects_jpeg

CLASSES = ClassTable(("cat", "dog"))


def photograph(width=500, height=375):
    return np.full((height, width, 3), (90, 120, 80), np.uint8)


def found(*objects, size=(375, 500)):
    """Objects (class, score, box) whose masks fill their boxes."""
    masks = np.zeros((len(objects), *size), dtype=bool)
    for mask, (_, _, (x0, y0, x1, y1)) in zip(masks, objects, strict=True):
        mask[y0:y1, x0:x1] = True
    return Detections(
        np.array([box for _, _, box in objects], np.float32).reshape(-1, 4),
        np.array([class_id for class_id, _, _ in objects], np.int64),
        np.array([score for _, score, _ in objects], np.float32),
        masks,
    )


def pixels(image, objects):
    with Image.open(BytesIO(objects_jpeg(image, objects, CLASSES))) as picture:
        return np.asarray(picture).astype(int)


def blend(number):
    return 0.4 * np.array((90, 120, 80)) + 0.6 * np.array(PALETTE[number])


def test_objects_have_colors_of_their_own_and_smaller_ones_are_in_front():
    picture = pixels(photograph(), found((1, 0.9, (20, 20, 300, 300)), (1, 0.8, (200, 100, 280, 200))))
    assert abs(picture[250, 100] - blend(0)).max() <= 8
    assert abs(picture[170, 240] - blend(1)).max() <= 8
    assert abs(picture[340, 450] - (90, 120, 80)).max() <= 4


def test_unsure_objects_are_not_drawn():
    image = photograph()
    assert abs(pixels(image, found((1, 0.49, (20, 20, 300, 300)))) - image).max() <= 3
    assert abs(pixels(image, found()) - image).max() <= 3


def test_the_class_and_its_score_stand_in_the_corner():
    plain = pixels(photograph(), found((1, 0.9, (20, 20, 300, 300))))
    corner = plain[21:36, 24:80]
    assert (corner.max(2) > 200).any()  # letters
    assert (corner.max(2) < 80).any()  # on a dark plate
    other = pixels(photograph(), found((2, 0.9, (20, 20, 300, 300))))
    assert abs(corner - other[21:36, 24:80]).max() > 100
    assert abs(plain[60:] - other[60:]).max() <= 8


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (1, 700), (900, 3)])
def test_pictures_of_every_shape_keep_their_size(size):
    objects = found((2, 1.0, (0, 0, size[1], size[0])), size=size)
    assert pixels(photograph(*size[::-1]), objects).shape == (*size, 3)


@pytest.mark.parametrize("box", [(480, 360, 500, 375), (0, 0, 2, 2), (499, 0, 500, 375)])
def test_boxes_at_the_borders_are_drawn(box):
    assert pixels(photograph(), found((1, 0.7, box))).shape == (375, 500, 3)


def test_drawing_can_be_pickled():
    image, objects = photograph(), found((1, 0.9, (20, 20, 300, 300)))
    assert pickle.loads(pickle.dumps(objects_jpeg))(image, objects, CLASSES) == objects_jpeg(image, objects, CLASSES)
