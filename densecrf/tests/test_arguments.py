"""What is wrong with an argument is said in one line."""

import numpy as np
import pytest

from densecrf import DenseCRF
from densecrf.errors import DenseCRFError


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"gaussian_sxy": 0}, "gaussian_sxy: 0 is not allowed"),
        ({"bilateral_sxy": -1}, "bilateral_sxy: -1"),
        ({"bilateral_srgb": float("nan")}, "bilateral_srgb: nan"),
        ({"bilateral_srgb": float("inf")}, "bilateral_srgb: inf"),
        ({"bilateral_srgb": 1e39}, "bilateral_srgb: 1e[+]39"),
        ({"gaussian_weight": -1}, "gaussian_weight: -1"),
        ({"bilateral_weight": float("nan")}, "bilateral_weight: nan"),
        ({"bilateral_weight": 1e7}, "bilateral_weight: 1"),
        ({"gaussian_weight": "many"}, "gaussian_weight: 'many' is not a number"),
        ({"gaussian_sxy": None}, "gaussian_sxy: None"),
        ({"gaussian_sxy": (3, 3)}, "gaussian_sxy: "),
        ({"iterations": -1}, "iterations: -1"),
        ({"iterations": 2.5}, "iterations: 2.5"),
        ({"threads": 0}, "threads: 0"),
    ],
)
def test_bad_settings_are_named(arguments, named):
    with pytest.raises(DenseCRFError, match=named):
        DenseCRF(**arguments)


IMAGE = np.zeros((4, 5, 3), dtype=np.uint8)
UNARY = np.zeros((2, 4, 5), dtype=np.float32)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "exactly one"),
        ({"unary": UNARY, "probabilities": UNARY}, "exactly one"),
        ({"image": IMAGE[:3], "unary": UNARY}, "image: uint8 .3, 5, 3. is not allowed; give numbers .4, 5"),
        ({"image": IMAGE[None, None], "unary": UNARY}, "image: uint8 .1, 1, 4, 5, 3."),
        ({"image": IMAGE[:, :, :0], "unary": UNARY}, "not empty"),
        ({"image": IMAGE.astype(complex), "unary": UNARY}, "image: complex"),
        ({"image": IMAGE.astype(bool), "unary": UNARY}, "image: bool"),
        ({"image": IMAGE * np.nan, "unary": UNARY}, "image: NaN"),
        ({"image": IMAGE - np.float32(np.inf), "unary": UNARY}, "image: NaN or infinite"),
        ({"image": "photo.jpg", "unary": UNARY}, "image: "),
        ({"image": None, "unary": UNARY}, "image: None"),
        ({"unary": UNARY[:, :3]}, "image: uint8 .4, 5, 3. is not allowed; give numbers .3, 5"),
        ({"unary": UNARY[:, :, :0]}, "unary: float32 .2, 4, 0."),
        ({"unary": UNARY[0, 0]}, "unary: "),
        ({"unary": UNARY[None, None]}, "unary: "),
        ({"unary": UNARY[:0]}, "C >= 1"),
        ({"unary": UNARY + 1j}, "unary: complex"),
        ({"unary": UNARY.astype(object)}, "unary: object"),
        ({"unary": [[1, 2], [3]]}, "unary: "),
        ({"unary": np.where(UNARY == 0, np.nan, 0)}, "no NaN"),
        ({"unary": UNARY + np.inf}, "values from inf"),
        ({"unary": UNARY.astype(np.float64) + 1e300}, "1e[+]300"),
        ({"probabilities": UNARY - 0.1}, "probabilities: values from -0.1"),
        ({"probabilities": UNARY + 2}, "probabilities: "),
        ({"probabilities": UNARY * np.nan}, "no NaN"),
        ({"unary": UNARY, "fixed": np.zeros((4, 5))}, "fixed: float64"),
        ({"unary": UNARY, "fixed": np.zeros((5, 4), bool)}, "fixed: bool .5, 4."),
    ],
)
def test_bad_input_is_named_in_one_line(arguments, named):
    with pytest.raises(DenseCRFError, match=named) as caught:
        DenseCRF()(**{"image": IMAGE, **arguments})
    assert "\n" not in str(caught.value)


def test_an_image_with_too_many_pixels_is_refused_before_any_work():
    image = np.broadcast_to(np.uint8(0), (20_000, 20_000, 3))
    with pytest.raises(DenseCRFError, match="20000x20000"):
        DenseCRF()(image, np.broadcast_to(np.float32(0), (2, 20_000, 20_000)))


def test_an_image_too_wide_for_its_sigma_is_refused():
    wide = np.broadcast_to(np.uint8(0), (1, 2**18, 3))
    with pytest.raises(DenseCRFError, match="enlarge sxy"):
        DenseCRF(gaussian_sxy=0.1)(wide, np.zeros((2, 1, 2**18), dtype=np.float32))
