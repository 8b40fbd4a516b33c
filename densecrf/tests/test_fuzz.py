"""Random shapes, types and parameters: marginals, or one of our errors; never a crash, a NaN or a hang.

``python tests/test_fuzz.py 50000`` tries so many.
"""

import sys
import time

import numpy as np
import pytest

from densecrf import DenseCRF, Kernel
from densecrf.errors import DenseCRFError

NUMBERS = [
    0,
    -1,
    1e-300,
    1e-8,
    0.01,
    0.15,
    0.5,
    1,
    3,
    55,
    1e3,
    1e6,
    1e30,
    1e300,
    np.inf,
    -np.inf,
    np.nan,
    "3",
    None,
    True,
]
TYPES = [np.uint8, np.uint8, np.uint8, np.int8, np.uint16, np.int32, np.int64, np.float16, np.float32, np.float64]
ODD_TYPES = [np.bool_, np.complex64, object, "U3", "datetime64[s]"]


def pick(generator, choices, odds, usual):
    """Mostly something usual."""
    return choices[generator.integers(len(choices))] if generator.random() < odds else usual(generator)


def random_array(generator, shape, dtype):
    """Values of any size, now and then with one that is not finite; in any memory layout."""
    scale = 10.0 ** generator.integers(-3, 7) if generator.random() < 0.2 else 255 if dtype == np.uint8 else 5
    values = generator.random(shape) * scale - (0 if np.dtype(dtype).kind == "u" else scale / 3)
    if generator.random() < 0.03 and values.size:
        values.flat[generator.integers(values.size)] = [np.nan, np.inf, -np.inf, 1e39][generator.integers(4)]
    with np.errstate(all="ignore"):
        array = values.astype(dtype)
    layout = generator.random()
    if layout < 0.1:
        array = np.asfortranarray(array)
    elif layout < 0.2 and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif layout < 0.25:
        array = array[..., ::-1] if array.ndim else array
    array.flags.writeable = generator.random() < 0.5
    return array


def random_call(seed):
    """Arguments of DenseCRF and of a call."""
    generator = np.random.default_rng(seed)
    axes = pick(generator, [1, 3, 4], 0.25, lambda _: 2)
    grid = tuple(int(size) for size in generator.integers(0 if generator.random() < 0.03 else 1, 9, axes))
    classes = pick(generator, [0, 1, 9, 17, 33], 0.2, lambda g: int(g.integers(2, 7)))
    dtype = pick(generator, ODD_TYPES, 0.03, lambda g: TYPES[g.integers(len(TYPES))])
    channels = [(), (1,), (2,), (3,), (3,), (3,), (5,), (0,), (13,)][generator.integers(9)]
    wrong = generator.random() < 0.05
    image = random_array(generator, (*grid, *channels) if not wrong else (*grid, 2, 2), dtype)
    unary = random_array(generator, (classes, *grid), [np.float32, np.float64, np.int16][generator.integers(3)])
    call = {"image": image if generator.random() > 0.03 else None}
    call["unary" if generator.random() < 0.7 else "probabilities"] = unary
    if "probabilities" in call and generator.random() < 0.9 and unary.size:
        with np.errstate(all="ignore"):
            call["probabilities"] = (np.abs(unary) / max(np.abs(unary).max(), 1)).astype(np.float32)
    for name in ("fixed", "ignore"):
        if generator.random() < 0.3:
            mask = generator.random(grid) < generator.choice([0, 0.3, 1])
            call[name] = mask if generator.random() < 0.95 else mask.astype(np.uint8)
    names = ["gaussian_weight", "gaussian_sxy", "bilateral_weight", "bilateral_sxy", "bilateral_srgb"]
    settings = {
        name: pick(generator, NUMBERS, 0.1, lambda g: float(10 ** g.uniform(-2, 2)))
        for name in names
        if generator.random() < 0.5
    }
    settings["iterations"] = pick(generator, [0, -1, 2.5, "x", 11], 0.1, lambda g: int(g.integers(1, 4)))
    settings["threads"] = pick(generator, [0, 3, 4], 0.05, lambda g: 1 + int(g.random() < 0.1))
    if generator.random() < 0.2:
        settings["tolerance"] = pick(generator, NUMBERS, 0.2, lambda g: float(10 ** g.uniform(-6, 0)))
    return settings, random_kernels(generator, classes, axes) if generator.random() < 0.2 else None, call


def random_kernels(generator, classes, axes):
    """Arguments of one to three kernels."""
    kernels = []
    for _ in range(generator.integers(1, 4)):
        sigmas = [float(10 ** generator.uniform(-1, 2)) for _ in range(axes)]
        matrix = generator.normal(size=(classes, classes))
        kernels.append(
            {
                "weight": pick(generator, NUMBERS, 0.1, lambda g: float(g.random() * 5)),
                "sxy": sigmas if generator.random() < 0.3 else sigmas[0],
                "srgb": pick(generator, [None, [3, 4, 5], *NUMBERS], 0.4, lambda g: float(10 ** g.uniform(0, 3))),
                "compatibility": [None, None, matrix, matrix + matrix.T, matrix[:1].ravel()][generator.integers(5)],
                "normalization": pick(generator, ["none", "before", "after", "row"], 0.4, lambda _: "symmetric"),
            }
        )
    return kernels


def outcome(seed):
    """The error's type, or None, after checks of the marginals."""
    settings, kernels, call = random_call(seed)
    try:
        with np.errstate(all="ignore"):
            if kernels is not None:
                settings["kernels"] = [Kernel(**kernel) for kernel in kernels]
            marginals = DenseCRF(**settings)(**call)
    except DenseCRFError as error:
        if "\n" in str(error):
            raise AssertionError("an error of more than one line") from error
        return type(error)
    given = call.get("unary", call.get("probabilities"))
    assert marginals.dtype == np.float32
    assert marginals.shape == given.shape
    assert marginals.min() >= 0
    np.testing.assert_allclose(marginals.sum(0), 1, atol=1e-5)
    return None


@pytest.mark.parametrize("block", range(4))
def test_anything_gives_marginals_or_an_error_of_ours(block):
    outcomes = [outcome(seed) for seed in range(150 * block, 150 * (block + 1))]
    assert outcomes.count(None) > 50  # otherwise only refusals were tried
    assert outcomes.count(None) < 140


if __name__ == "__main__":
    total, counts, slowest = int(sys.argv[1]), {}, 0.0
    for number in range(total):
        began = time.perf_counter()
        try:
            result = outcome(number)
        except BaseException:
            print(f"seed {number}: {random_call(number)}")
            raise
        slowest = max(slowest, time.perf_counter() - began)
        counts[result] = counts.get(result, 0) + 1
    answers = {getattr(kind, "__name__", "marginals"): count for kind, count in counts.items()}
    print(f"{total} calls: {answers}; the slowest took {slowest:.2f} s")
