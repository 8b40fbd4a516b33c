import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densecrf import DenseCRF, Kernel
from densecrf.errors import DenseCRFError
from densecrf.tiling import REACH, exact_overlap, tiled
from naive_lattice import lattice_filter_matrix

HEIGHT, WIDTH, CLASSES = 113, 127, 3


def crf(iterations=2, **arguments):
    """A CRF whose exact overlap is small."""
    return DenseCRF(3, 1.5, 4, 2.2, 20, iterations, **arguments)


@pytest.fixture(scope="module")
def scene():
    """Image, unary, fixed and ignore: patches of color with noise, so that the lattice has gaps."""
    generator = np.random.default_rng(0)
    patches = np.kron(generator.integers(0, 255, (17, 19, 3)), np.ones((7, 7, 1)))[:HEIGHT, :WIDTH]
    image = np.clip(patches + generator.normal(size=(HEIGHT, WIDTH, 3)) * 6, 0, 255).astype(np.uint8)
    unary = generator.normal(size=(CLASSES, HEIGHT, WIDTH)).astype(np.float32)
    fixed, ignore = generator.random((2, HEIGHT, WIDTH)) < 0.2
    return image, unary, fixed, ignore


@pytest.mark.parametrize("sigma", [0.9, 1.7])
@pytest.mark.parametrize("colors", [False, True])
def test_no_filter_reaches_further_than_stated(sigma, colors):
    rows, columns = np.mgrid[:17, :17].reshape(2, -1)
    places = np.stack([columns, rows], axis=1) / sigma
    # Colors that differ by fractions of a sigma: pixels of many simplices that are close enough to see each other.
    extra = np.random.default_rng(0).uniform(0, 1.5, (len(rows), 3)) if colors else np.empty((len(rows), 0))
    seen = lattice_filter_matrix(np.concatenate([places, extra], axis=1)) > 1e-9
    for axis, reach in zip((rows, columns), REACH, strict=True):
        distance = np.abs(axis[:, None] - axis) / sigma
        assert distance[seen].max() <= reach + 1e-6
        if not colors:
            assert distance[seen].max() > 0.8 * reach


@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_exact_overlap_gives_the_result_of_one_call(scene, iterations, masked):
    image, unary, fixed, ignore = scene
    masks = {"fixed": fixed, "ignore": ignore} if masked else {}
    model = crf(iterations)
    overlap = exact_overlap(model)
    assert overlap == ((iterations + 1) * (math.floor(4 * 2.2) + 1) if iterations else 0)
    ours = tiled(model, image, unary, **masks, tile=2 * overlap + 13, overlap=overlap)
    np.testing.assert_allclose(ours, model(image, unary, **masks), atol=1e-5)


def test_without_overlap_tiles_differ(scene):
    image, unary, _, _ = scene
    assert np.abs(tiled(crf(), image, unary, tile=40, overlap=0) - crf()(image, unary)).max() > 0.01


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel(3, (1.2, 2.2), 20, normalization="before"),
        Kernel(3, 2.2, (9, 20, 30), compatibility=[1.0, 0.5, 2.0]),
        Kernel(3, 2, normalization="after"),
    ],
)
def test_exact_overlap_of_other_kernels(scene, kernel):
    image, unary, fixed, _ = scene
    model = DenseCRF(kernels=[kernel, Kernel(0, 500)], iterations=1)
    image = image if kernel.srgb else None
    overlap = exact_overlap(model)
    ours = model.tiled(image, unary, fixed=fixed, tile=2 * overlap + 20, overlap=overlap)
    np.testing.assert_allclose(ours, model(image, unary, fixed=fixed), atol=1e-5)


def test_default_overlap_is_close_on_a_photograph():
    with Image.open(Path(__file__).with_name("photograph.jpg")) as photograph:
        image = np.array(photograph.resize((400, 300)))
    unary = np.kron(np.random.default_rng(0).normal(size=(2, 20, 25)), np.ones((1, 15, 16)))
    model = DenseCRF(bilateral_sxy=14, threads=2)
    whole, ours = model(image, unary), model.tiled(image, unary, tile=180)
    assert np.abs(ours - whole).mean() < 2e-3
    assert (ours.argmax(0) == whole.argmax(0)).mean() > 0.995


@pytest.mark.parametrize("tile", [127, 2048])
def test_one_tile_is_one_call(scene, tile):
    image, unary, fixed, ignore = scene
    expected = DenseCRF()(image, unary, fixed=fixed, ignore=ignore)
    ours = DenseCRF().tiled(image, unary, fixed=fixed, ignore=ignore, tile=tile)
    np.testing.assert_array_equal(ours, expected)
    assert ours.dtype == np.float32


@pytest.mark.parametrize(("tile", "overlap"), [(49, 19), (40, 0), (64, 20), (112, 5), (126, 62)])
def test_every_pixel_is_written_once(scene, tile, overlap):
    _, unary, _, _ = scene
    model = crf(0)

    class Counted(np.ndarray):
        def __setitem__(self, place, value):
            np.ndarray.__setitem__(self, place, np.asarray(self[place]) + 1)

    out = np.zeros(unary.shape, dtype=np.float32).view(Counted)
    assert model.tiled(np.zeros((HEIGHT, WIDTH)), unary, tile=tile, overlap=overlap, out=out) is out
    assert (np.asarray(out) == 1).all()


def test_memory_maps_in_and_out(scene, tmp_path):
    image, unary, fixed, ignore = scene
    probabilities = np.exp(-unary) / np.exp(-unary).sum(0)
    maps = []
    for index, values in enumerate((image, probabilities, fixed, ignore)):
        maps.append(np.memmap(tmp_path / str(index), values.dtype, "w+", shape=values.shape))
        maps[-1][:] = values
    out = np.memmap(tmp_path / "out", np.float32, "w+", shape=unary.shape)
    model = crf()
    result = model.tiled(maps[0], None, maps[1], maps[2], ignore=maps[3], tile=70, overlap=27, out=out)
    assert result is out
    out.flush()
    written = np.fromfile(tmp_path / "out", np.float32).reshape(unary.shape)
    np.testing.assert_allclose(written, model(image, None, probabilities, fixed, ignore=ignore), atol=1e-5)


class Sliced:
    """An array that is read by slices only, and remembers the largest."""

    def __init__(self, values):
        self.values, self.shape, self.largest = values, values.shape, 0

    def __getitem__(self, place):
        part = self.values[place]
        self.largest = max(self.largest, *part.shape[-2:]) if part.ndim > 1 else self.largest
        return part

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("read whole")


def test_no_more_than_a_tile_is_read(scene):
    inputs = [Sliced(values) for values in (scene[0][..., 0], scene[1], scene[2])]
    ours = crf().tiled(inputs[0], inputs[1], fixed=inputs[2], tile=64, overlap=27)
    assert [each.largest for each in inputs] == [64, 64, 64]
    np.testing.assert_allclose(ours, crf()(scene[0][..., 0], scene[1], fixed=scene[2]), atol=1e-5)


def test_progress_goes_to_standard_error(scene, capsys):
    arguments = scene[0], scene[1]
    crf(1).tiled(*arguments, tile=64, overlap=2)
    capsys.readouterr()  # a note about compiling may be there
    crf(1).tiled(*arguments, tile=64, overlap=2)
    assert capsys.readouterr() == ("", "")
    crf(1).tiled(*arguments, tile=64, overlap=2, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "CRF" in shown.err


IMAGE, UNARY = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((2, HEIGHT, WIDTH), np.float32)
BAD = np.where(np.arange(WIDTH) == WIDTH - 1, np.nan, UNARY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": 100}, "tile: 100 is not allowed for an overlap of 220; give more than 440"),
        ({"tile": 0}, "tile: 0 is not allowed"),
        ({"tile": 64.5, "overlap": 2}, "tile: 64.5 is not allowed"),
        ({"tile": 64, "overlap": 32}, "tile: 64 is not allowed for an overlap of 32; give more than 64"),
        ({"overlap": -1}, "overlap: -1 is not allowed"),
        ({"probabilities": UNARY}, "unary, probabilities: give exactly one"),
        ({"unary": None}, "unary, probabilities: give exactly one"),
        ({"unary": UNARY[0]}, r"unary: \(113, 127\) is not allowed; give \(C, H, W\)"),
        ({"unary": UNARY[..., :0]}, r"unary: \(2, 113, 0\) is not allowed"),
        ({"image": IMAGE[1:]}, r"image: \(112, 127, 3\) is not allowed; give \(113, 127\)"),
        ({"image": None}, "image: None is not allowed"),
        ({"image": IMAGE.astype(str)}, "image: .* is not allowed"),
        ({"fixed": IMAGE[..., 0]}, r"fixed: uint8 \(113, 127\) is not allowed; give bool \(113, 127\)"),
        ({"ignore": np.zeros((3, 3), bool)}, r"ignore: bool \(3, 3\) is not allowed"),
        ({"out": np.zeros(UNARY.shape)}, r"out: float64 \(2, 113, 127\) is not allowed; give float32"),
        ({"out": UNARY[:, 1:]}, r"out: float32 \(2, 112, 127\) is not allowed; give float32 \(2, 113, 127"),
        ({"out": "here"}, "out: str .* is not allowed"),
        ({"unary": BAD, "tile": 100, "overlap": 5}, r"unary: .*NaN \(tile of rows 0..100, columns 27..127"),
    ],
)
def test_errors_name_argument_and_remedy(changes, message):
    arguments = {"image": IMAGE, "unary": UNARY, **changes}
    with pytest.raises(DenseCRFError, match=message) as caught:
        DenseCRF().tiled(**arguments)
    assert "\n" not in str(caught.value)


def test_sigmas_too_small_for_the_far_corner_are_refused_before_anything_is_read():
    class Huge:
        shape = (1, 2_000_000, 4)

        def __getitem__(self, place):
            raise AssertionError("read")

    with pytest.raises(DenseCRFError, match="too many for float32; enlarge sxy"):
        DenseCRF(3, 0.5, 0).tiled(None, Huge(), out=np.broadcast_to(np.float32(0), Huge.shape))


def test_a_tile_far_from_the_origin_is_as_one_near_it():
    generator = np.random.default_rng(0)
    length, end = 30_000, 60
    image = np.zeros((length, 20), np.uint8)
    image[-end:] = generator.integers(0, 255, (end, 20))
    unary = np.zeros((2, length, 20), np.float32)
    unary[:, -end:] = generator.normal(size=(2, end, 20))
    model = DenseCRF(3, 3, 4, 3, 20, 2)
    ours = model.tiled(image, unary, tile=1000)[:, -end:]
    start = 29_844  # rows: periods of the lattice, which are 3 sigma of 3 pixels
    near = model(image[start:], unary[:, start:])[:, -end:]
    np.testing.assert_allclose(
        ours, near, atol=1e-3
    )  # 4e-5 on average, from places that float32 rounds at 10,000 sigma


def test_marginals_may_not_overwrite_what_later_tiles_read():
    probabilities = np.full((2, 20, 20), 0.5, dtype=np.float32)
    with pytest.raises(DenseCRFError, match="out: is probabilities itself, which later tiles still need"):
        DenseCRF(bilateral_sxy=1).tiled(
            np.zeros((20, 20, 3), np.uint8), probabilities=probabilities, tile=12, overlap=2, out=probabilities
        )
