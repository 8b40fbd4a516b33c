"""The torch version on CPU tensors against the numpy version: the same lattice, so the same marginals."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densecrf import DenseCRF, Kernel
from densecrf.embedding import embed as numpy_embed
from densecrf.embedding import key_space
from densecrf.errors import DenseCRFError
from densecrf.workspace import Arrays, Workspace
from naive_lattice import lattice_filter_matrix
from naive_mean_field import mean_field, pixel_features

torch = pytest.importorskip("torch")
from densecrf.torch_backend import embed, gpu_marginals, kernel_features  # noqa: E402

HEIGHT, WIDTH = 60, 80
MATRIX = np.float32([[0, 1, 3], [1, -0.5, 2], [3, 2, 0]])
NORMALIZATIONS = ["symmetric", "before", "after", "none"]


@pytest.fixture(scope="module")
def photograph():
    with Image.open(Path(__file__).with_name("photograph.jpg")) as opened:
        return np.array(opened.resize((WIDTH, HEIGHT)))


def smooth_unary(classes, grid=(HEIGHT, WIDTH), seed=0):
    """Blocks of 4 pixels with noise on them."""
    generator = np.random.default_rng(seed)
    unary = generator.normal(size=(classes, *(-(-size // 4) for size in grid)))
    for axis in range(1, unary.ndim):
        unary = unary.repeat(4, axis=axis)
    unary = unary[(slice(None), *map(slice, grid))]
    return (unary + 0.3 * generator.normal(size=unary.shape)).astype(np.float32)


def random_mask(share, grid=(HEIGHT, WIDTH), seed=1):
    return np.random.default_rng(seed).random(grid) < share


def tensor(value):
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


def assert_same(crf, image, unary=None, **others):
    """Both versions give the same marginals; returns them."""
    expected = crf(image, unary, **others)
    ours = gpu_marginals(crf, tensor(image), tensor(unary), **{name: tensor(value) for name, value in others.items()})
    assert ours.dtype == torch.float32
    assert ours.is_contiguous()
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-4)
    return expected


@pytest.mark.parametrize("classes", [2, 5, 9])
@pytest.mark.parametrize("masks", [(), ("fixed",), ("ignore",), ("fixed", "ignore")])
def test_equals_numpy_on_a_photograph(photograph, classes, masks):
    unary = smooth_unary(classes)
    given = {name: random_mask(0.4, seed=seed) for seed, name in enumerate(masks)}
    marginals = assert_same(DenseCRF(), photograph, unary, **given)
    start = DenseCRF(iterations=0)(photograph, unary)
    assert np.abs(marginals - start).max() > 0.3
    for mask in given.values():
        np.testing.assert_allclose(marginals[:, mask], start[:, mask], atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_equals_mean_field_with_the_dictionary_lattices(photograph, classes):
    grid = 11, 14
    image, unary, fixed = photograph[20:31, 30:44], smooth_unary(classes, grid), random_mask(0.3, grid)
    features = pixel_features(image, 3), pixel_features(image, 20, 9)
    kernel = 3 * lattice_filter_matrix(features[0]) + 4 * lattice_filter_matrix(features[1])
    crf = DenseCRF(bilateral_sxy=20, bilateral_srgb=9, iterations=5)
    ours = gpu_marginals(crf, tensor(image), tensor(unary), fixed=tensor(fixed))
    np.testing.assert_allclose(ours, mean_field(unary, kernel, fixed, iterations=5), atol=1e-4)


@pytest.mark.parametrize("sxy", [1, 2.9, 3, 0.01, (3, 1.5)])
@pytest.mark.parametrize("grid", [(200,), (31, 40), (9, 10, 11)])
def test_equals_numpy_where_places_tie(sxy, grid):
    """Whole-number places lie on borders between simplices, where rounding decides which vertices exist."""
    if np.ndim(sxy) and len(sxy) != len(grid):
        sxy = sxy[0]
    assert_same(DenseCRF(kernels=[Kernel(3, sxy)]), None, smooth_unary(3, grid))


@pytest.mark.parametrize("grid", [(150,), (21, 24), (7, 9, 8)])
@pytest.mark.parametrize("channels", [None, 1, 2, 4])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_equals_numpy_for_any_grid_and_image(grid, channels, dtype):
    generator = np.random.default_rng(0)
    ramp = np.linspace(0, 200, np.prod(grid)).reshape(grid)
    image = ramp if channels is None else ramp[..., None] + np.arange(channels) * 10
    image = (image + generator.normal(size=image.shape) * 5).clip(0, 255).astype(dtype)
    assert_same(DenseCRF(bilateral_sxy=20, bilateral_srgb=11), image, smooth_unary(3, grid))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("srgb", [3, 0.1, (7, 5.1, 0.7)])
def test_features_and_simplices_have_the_bits_of_numpy(photograph, dtype, srgb):
    image = photograph[:20, :30].astype(dtype)
    kernel = Kernel(1, (55, 2.9), srgb)
    features = kernel.features((20, 30), image)
    ours = kernel_features(kernel, (20, 30), tensor(image).reshape(-1, 3), torch.device("cpu"))
    np.testing.assert_array_equal(ours, features)
    space = key_space(features)
    with Workspace(1) as work:
        keys, shares = numpy_embed(features, space, work, Arrays())
    our_keys, our_shares = embed(ours, space)
    np.testing.assert_array_equal(our_keys, keys.astype(np.int64))
    np.testing.assert_array_equal(our_shares, shares)


@pytest.mark.parametrize("shift", [0, 1e6])
def test_keys_of_many_bits_far_from_zero(shift):
    image = np.random.default_rng(0).normal(size=(20, 25, 4)) * 2000 + shift
    assert key_space(Kernel(2, 3, 10).features((20, 25), image)).size > 2**58
    crf = DenseCRF(kernels=[Kernel(2, 3, 10), Kernel(1, 2)])
    assert_same(crf, image, smooth_unary(3, (20, 25)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("compatibility", [None, MATRIX, [2, 1, 0.5]])
def test_equals_numpy_for_every_normalization_and_compatibility(photograph, normalization, compatibility):
    kernels = [Kernel(1, 20, 11, compatibility, normalization), Kernel(0.5, 3), Kernel(0, 1, 1)]
    fixed, ignore = random_mask(0.2), random_mask(0.2, seed=2)
    assert_same(DenseCRF(kernels=kernels, iterations=5), photograph, smooth_unary(3), fixed=fixed, ignore=ignore)


def test_equals_numpy_for_several_kernels_of_every_kind(photograph):
    kernels = [
        Kernel(2, (4, 2)),
        Kernel(1, 9, None, MATRIX, "after"),
        Kernel(3, 40, (8, 9, 10), None, "before"),
        Kernel(1, 15, 20, [1, 2, 3], "none"),
    ]
    assert_same(DenseCRF(kernels=kernels, iterations=4), photograph, smooth_unary(3))


def test_the_weight_of_a_kernel_with_a_matrix_counts_once(photograph):
    image, unary = tensor(photograph[:20, :30]), tensor(smooth_unary(3, (20, 30)))
    potts, matrix = (
        gpu_marginals(DenseCRF(kernels=[Kernel(2.5, 20, 11, given)], iterations=3), image, unary)
        for given in (None, 1 - np.eye(3))
    )
    torch.testing.assert_close(potts, matrix, atol=1e-5, rtol=0)


def test_equals_numpy_for_probabilities(photograph):
    probabilities = torch.softmax(-tensor(smooth_unary(4)), dim=0).numpy()
    probabilities[:, 3, 4] = [1, 0, 0, 0]
    assert_same(DenseCRF(), photograph, probabilities=probabilities)
    assert_same(DenseCRF(), photograph, probabilities=probabilities.astype(np.float64))


def test_impossible_classes_keep_the_others_apart(photograph):
    unary = smooth_unary(3)
    unary[0] = 1e9
    assert_same(DenseCRF(), photograph, unary)


@pytest.mark.parametrize("kernels", [(Kernel(1, 3, 20), Kernel(1, 5)), (Kernel(1, 3, 20, MATRIX), Kernel(1, 5))])
def test_tolerance_ends_the_updates_where_numpy_does(photograph, kernels):
    """The loose end: a limit between two changes, so that rounding cannot decide."""
    unary = smooth_unary(3)
    steps = [DenseCRF(kernels=kernels, iterations=i)(photograph, unary) for i in range(5)]
    changes = [np.abs((new - new[0]) - (old - old[0])).max() for old, new in pairwise(steps)]
    assert changes == sorted(changes, reverse=True)
    tolerance = (changes[1] + changes[2]) / 2
    marginals = assert_same(DenseCRF(kernels=kernels, iterations=9, tolerance=tolerance), photograph, unary)
    np.testing.assert_allclose(marginals, steps[3], atol=1e-4)


@pytest.mark.parametrize(
    "crf", [DenseCRF(iterations=0), DenseCRF(gaussian_weight=0, bilateral_weight=0), DenseCRF(kernels=[])]
)
def test_without_iterations_or_kernels_it_is_a_softmax(photograph, crf):
    unary = smooth_unary(4) * 10
    assert_same(crf, photograph, unary)
    ours = gpu_marginals(crf, tensor(photograph), tensor(unary))
    torch.testing.assert_close(ours, torch.softmax(-tensor(unary), dim=0))


def test_one_class_is_certain(photograph):
    assert (assert_same(DenseCRF(), photograph, smooth_unary(1)) == 1).all()


@pytest.mark.parametrize("name", ["fixed", "ignore"])
@pytest.mark.parametrize("value", [True, False])
def test_masks_of_one_value(photograph, name, value):
    assert_same(DenseCRF(), photograph, smooth_unary(3), **{name: np.full((HEIGHT, WIDTH), value)})


def test_a_single_pixel():
    assert_same(DenseCRF(), np.uint8([[[1, 2, 3]]]), np.float32([[[1]], [[2]]]))


def test_arguments_of_any_kind_and_layout_and_nothing_changed(photograph):
    unary, fixed = smooth_unary(3, (HEIGHT, WIDTH)), random_mask(0.3)
    expected = DenseCRF()(photograph[::-1], unary, fixed=fixed)
    costs = torch.from_numpy(unary.transpose(1, 2, 0).astype(np.float64)).permute(2, 0, 1).requires_grad_()
    ours = gpu_marginals(DenseCRF(), photograph[::-1], costs, fixed=fixed)
    assert not ours.requires_grad
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    np.testing.assert_array_equal(costs.detach(), unary)
    of_numpy = gpu_marginals(DenseCRF(), tensor(photograph[::-1]), unary, fixed=tensor(fixed))
    assert isinstance(of_numpy, np.ndarray)
    np.testing.assert_allclose(of_numpy, expected, atol=1e-4)


IMAGE = torch.zeros((4, 5, 3), dtype=torch.uint8)
UNARY = torch.zeros((2, 4, 5))
MASK = torch.zeros((4, 5), dtype=torch.bool)


def castable(value):
    return isinstance(value, torch.Tensor) and value.dtype != torch.bfloat16


LOOKING = DenseCRF(kernels=[Kernel(1, 3, (4, 4))])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"unary": UNARY, "probabilities": UNARY},
        {"image": IMAGE[:3], "unary": UNARY},
        {"image": IMAGE[None, None], "unary": UNARY},
        {"image": IMAGE[:, :, :0], "unary": UNARY},
        {"image": IMAGE.float()[:, :, :0], "unary": UNARY},
        {"image": IMAGE.to(torch.complex64), "unary": UNARY},
        {"image": IMAGE.bool(), "unary": UNARY},
        {"image": IMAGE.bfloat16(), "unary": UNARY},
        {"image": IMAGE * float("nan"), "unary": UNARY},
        {"image": IMAGE - float("inf"), "unary": UNARY},
        {"image": IMAGE.numpy() * np.nan, "unary": UNARY},
        {"image": "photo.jpg", "unary": UNARY},
        {"image": None, "unary": UNARY},
        {"unary": UNARY[:, :3]},
        {"unary": UNARY[:, :, :0]},
        {"unary": UNARY[0, 0]},
        {"unary": UNARY[None, None]},
        {"unary": UNARY[:0]},
        {"unary": UNARY + 1j},
        {"unary": UNARY.bool()},
        {"unary": UNARY.bfloat16()},
        {"unary": UNARY + float("nan")},
        {"unary": UNARY - float("inf")},
        {"unary": UNARY.double() + 1e300},
        {"probabilities": UNARY - 0.1},
        {"probabilities": UNARY.to(torch.uint8) + 2},
        {"probabilities": UNARY * float("nan")},
        {"unary": UNARY, "fixed": MASK.double()},
        {"unary": UNARY, "fixed": MASK.T},
        {"unary": UNARY, "ignore": MASK.T.numpy()},
        {"unary": UNARY, "crf": LOOKING},
        {"unary": UNARY, "crf": DenseCRF(kernels=[Kernel(1, (3, 3, 3))])},
        {"unary": UNARY, "crf": DenseCRF(kernels=[Kernel(1, 3, None, MATRIX)])},
        {"image": IMAGE.float() + 1e30, "unary": UNARY},
    ],
)
def test_bad_input_is_named_in_the_words_of_numpy(arguments):
    crf, given = arguments.get("crf", DenseCRF()), {"image": IMAGE, **arguments}
    given.pop("crf", None)
    as_numpy = {name: value.numpy() if castable(value) else value for name, value in given.items()}
    with pytest.raises(DenseCRFError) as ours:
        gpu_marginals(crf, **given)
    with pytest.raises(DenseCRFError) as numpys:
        crf(**as_numpy)
    assert str(ours.value) == str(numpys.value)
    assert "\n" not in str(ours.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("moved", [("image", "unary", "fixed"), ("unary",), ("image",)])
def test_tensors_on_a_gpu_give_the_marginals_of_numpy(photograph, moved):
    given = {"image": photograph, "unary": smooth_unary(5), "fixed": random_mask(0.3)}
    expected = DenseCRF()(**given)
    tensors = {name: tensor(value).to("cuda" if name in moved else "cpu") for name, value in given.items()}
    ours = DenseCRF()(**tensors)
    assert ours.device == tensors["unary"].device
    np.testing.assert_allclose(ours.cpu(), expected, atol=1e-4)
