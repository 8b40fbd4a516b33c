"""The fully connected CRF (Kraehenbuehl and Koltun, 2011), by mean field."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy.typing as npt

from densecrf import tiling
from densecrf.arguments import checked_guide, checked_unary, like, on_gpu
from densecrf.errors import DenseCRFError
from densecrf.general import MeanField
from densecrf.kernel import MAX_WEIGHT, Kernel
from densecrf.numbers import count, number_in
from densecrf.prepared import Parameters, PreparedCRF
from densecrf.workspace import Arrays, default_thread_count


class DenseCRF(Parameters):
    """A fully connected CRF over the pixels of an image, with a spatial and a color-sensitive Gaussian kernel.

    The marginals are those of ``iterations`` parallel mean-field updates

        Q <- softmax(-unary + gaussian_weight * K_g Q + bilateral_weight * K_b Q),   Q_0 = softmax(-unary),

    Each kernel matrix is normalized symmetrically, D^-1/2 K D^-1/2, and includes every pixel's own term. It is applied
    through a permutohedral lattice, which approximates the Gaussian to some percent.

    Several threads can call an instance at once. It can be pickled, and used after a fork. Any number of threads gives
    the same bits. The first call in a fresh installation compiles for some seconds.

    Args:
        gaussian_weight: Weight of the spatial kernel, exp(-|dp|^2 / (2 gaussian_sxy^2)); 0 switches it off.
        gaussian_sxy: Standard deviation of the spatial kernel, in pixels.
        bilateral_weight: Weight of the kernel exp(-|dp|^2 / (2 bilateral_sxy^2) - |dI|^2 / (2 bilateral_srgb^2)); 0
            switches it off.
        bilateral_sxy: Standard deviation of the bilateral kernel, in pixels.
        bilateral_srgb: Standard deviation of the bilateral kernel in the image's values, 0..255.
        iterations: Number of updates; 0 gives softmax(-unary).
        kernels: Kernels to use instead of these two (default: these two).
        tolerance: Stop early once an update changes each class's marginal, minus the first class's, by less than this;
            0 never stops early.
        threads: Number of threads (default: NUMBA_NUM_THREADS, which is all cores unless the environment sets it).

    Raises:
        DenseCRFError: If an argument is not a number or out of its range.
    """

    def __init__(
        self,
        gaussian_weight: float = 3,
        gaussian_sxy: float = 3,
        bilateral_weight: float = 4,
        bilateral_sxy: float = 55,
        bilateral_srgb: float = 3,
        iterations: int = 10,
        *,
        kernels: Sequence[Kernel] | None = None,
        tolerance: float = 0.0,
        threads: int | None = None,
    ) -> None:
        given = {"gaussian_weight": gaussian_weight, "bilateral_weight": bilateral_weight}
        sigmas = {"gaussian_sxy": gaussian_sxy, "bilateral_sxy": bilateral_sxy, "bilateral_srgb": bilateral_srgb}
        weights = {name: number_in(name, value, 0, MAX_WEIGHT, "0 (off)") for name, value in given.items()}
        widths = {name: number_in(name, value, 0, 3.4e38, "above 0") for name, value in sigmas.items()}
        if kernels is None:
            kernels = (
                Kernel(weights["gaussian_weight"], widths["gaussian_sxy"]),
                Kernel(weights["bilateral_weight"], widths["bilateral_sxy"], widths["bilateral_srgb"]),
            )
        for kernel in kernels:
            if not isinstance(kernel, Kernel):
                raise DenseCRFError(f"kernels: {kernel!r} is not allowed; give instances of densecrf.Kernel")
        super().__init__(
            kernels=tuple(kernels),
            iterations=count("iterations", iterations, least=0),
            tolerance=number_in("tolerance", tolerance, 0, 2, "0 (never)"),
            threads=None if threads is None else count("threads", threads, least=1),
        )

    def __call__(
        self,
        image: npt.ArrayLike | None,
        unary: npt.ArrayLike | None = None,
        probabilities: npt.ArrayLike | None = None,
        fixed: npt.ArrayLike | None = None,
        *,
        ignore: npt.ArrayLike | None = None,
    ) -> Any:
        """Compute the marginals of one image.

        Give exactly one of ``unary`` and ``probabilities``. Arrays may be numpy arrays or torch tensors.

        Args:
            image: uint8 (H, W, 3) RGB, or real numbers of shape (H, W) or (H, W, channels). If the unary has one or
                three axes of pixels, so has the image: (L,), (L, channels), (D, H, W) or (D, H, W, channels). None if
                no kernel uses the image.
            unary: (C, H, W), -log of each class's probability, up to a constant per pixel. C >= 1.
            probabilities: (C, H, W) in 0..1. Values below PROBABILITY_FLOOR are raised to it.
            fixed: bool (H, W), True on pixels that keep softmax(-unary). Other pixels see them (default: none).
            ignore: bool (H, W), True on pixels that take no part. They keep softmax(-unary), and no other pixel sees
                them (default: none).

        Returns:
            float32 (C, H, W), which sums to 1 over C. If the unary is a tensor, a tensor on its device.

        Raises:
            DenseCRFError: If an array has the wrong shape, type or values, or the image is too large.
            DenseCRFError: If not exactly one of ``unary`` and ``probabilities`` is given, or the sigmas are too small
                for an image of this size.
        """
        source = unary if unary is not None else probabilities
        if on_gpu(source, image):
            from densecrf.torch_backend import gpu_marginals

            return gpu_marginals(self, image, unary, probabilities, fixed, ignore)
        costs, grid = checked_unary(unary, probabilities)
        with self.workspace() as work:
            prepared = PreparedCRF(self, checked_guide(image, grid), fixed, ignore, work)
            return like(source, prepared.marginals(costs, work).reshape(-1, *grid))

    def prepare(
        self,
        image: npt.ArrayLike,
        fixed: npt.ArrayLike | None = None,
        *,
        ignore: npt.ArrayLike | None = None,
    ) -> PreparedCRF:
        """Prepare one image for several unaries. What depends on the image alone is computed once.

        Args:
            image: (H, W) or (H, W, channels).
            fixed: As in a call.
            ignore: As in a call.

        Raises:
            DenseCRFError: If an array has the wrong shape, type or values, or the image is too large.
        """
        arrays = Arrays()
        with self.workspace(arrays) as work:
            return PreparedCRF(self, checked_guide(image, None), fixed, ignore, work, arrays=arrays)

    def infer(
        self,
        image: npt.ArrayLike | None,
        unary: npt.ArrayLike | None = None,
        probabilities: npt.ArrayLike | None = None,
        fixed: npt.ArrayLike | None = None,
        *,
        ignore: npt.ArrayLike | None = None,
    ) -> MeanField:
        """Compute marginals, and their energy and entropy before and after each update.

        Arguments and errors are those of a call. It is several times slower than a call.
        """
        costs, grid = checked_unary(unary, probabilities)
        with self.workspace() as work:
            prepared = PreparedCRF(self, checked_guide(image, grid), fixed, ignore, work)
            result = prepared.mean_field(costs, work)
        marginals = result.marginals.reshape(-1, *grid)
        return MeanField(marginals, result.unary_energy, result.pairwise_energy, result.entropy)

    def batch(
        self,
        images: Sequence[npt.ArrayLike],
        unaries: Sequence[npt.ArrayLike] | None = None,
        probabilities: Sequence[npt.ArrayLike] | None = None,
        fixed: Sequence[npt.ArrayLike | None] | None = None,
    ) -> list[Any]:
        """Compute the marginals of many images of any sizes, one image per thread.

        Args:
            images: The images, each as in a call.
            unaries: One unary per image.
            probabilities: One array of probabilities per image, in place of ``unaries``.
            fixed: One mask or None per image (default: none).

        Returns:
            The marginals, in the order of the images.

        Raises:
            DenseCRFError: As in a call; also if there are more or fewer arrays than images.
        """
        for name, column in {"unaries": unaries, "probabilities": probabilities, "fixed": fixed}.items():
            if column is not None and len(column) != len(images):
                raise DenseCRFError(f"{name}: {len(column)} for {len(images)} images; give one for each")
        one = DenseCRF(kernels=self.kernels, iterations=self.iterations, tolerance=self.tolerance, threads=1)
        nothing = [None] * len(images)
        columns = (nothing if column is None else column for column in (unaries, probabilities, fixed))
        rows = zip(images, *columns, strict=True)
        with ThreadPoolExecutor(self.threads or default_thread_count(), thread_name_prefix="densecrf") as pool:
            return list(pool.map(lambda row: one(*row), rows))

    def tiled(
        self,
        image: Any,
        unary: Any = None,
        probabilities: Any = None,
        fixed: Any = None,
        *,
        ignore: Any = None,
        tile: int = 2048,
        overlap: int | None = None,
        out: Any = None,
        progress: bool = False,
    ) -> Any:
        """Compute the marginals of a large image with two axes, tile by tile, in the memory of one tile.

        Arrays may be of any kind that has a shape and takes slices, such as np.memmap or an HDF5 dataset. At most one
        tile of them is read at a time.

        Args:
            image: Real numbers (H, W) or (H, W, channels); None if no kernel uses the image.
            unary: (C, H, W), as in a call.
            probabilities: (C, H, W), as in a call.
            fixed: As in a call.
            ignore: As in a call.
            tile: Side of a tile in pixels, overlap included. An axis of at most this length is not cut.
            overlap: Pixels that a tile sees on each side of the part that is kept (default: four times the largest
                sxy). With ``densecrf.tiling.exact_overlap(crf)`` the result is that of a call, up to float rounding.
            out: Array (C, H, W) of float32 that takes assignments to slices, for the marginals (default: a new one).
                After an error, some tiles have been written.
            progress: Count the tiles on standard error.

        Returns:
            ``out``. ``densecrf.tiling`` says how far it is from the result of a call.

        Raises:
            DenseCRFError: As in a call; also if the tile is no larger than twice the overlap.
        """
        given = image, unary, probabilities, fixed
        return tiling.tiled(self, *given, ignore=ignore, tile=tile, overlap=overlap, out=out, progress=progress)
