"""Fully connected CRFs with pydensecrf's methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from densecrf.arguments import array
from densecrf.compat.pairwise import KernelType, NormalizationType, Pairwise, choice, compatibility, couplings
from densecrf.compat.unary import ConstUnary, LogisticUnary, Unary, matrix_of_numbers
from densecrf.compiled import FloatArray
from densecrf.embedding import key_space
from densecrf.errors import DenseCRFError
from densecrf.general import Coupling, general_mean_field
from densecrf.kernel import Kernel, sigmas
from densecrf.lattice import Lattice
from densecrf.mean_field import Field, potts_mean_field
from densecrf.numbers import count
from densecrf.workspace import Arrays, Workspace, default_thread_count

Sigma = float | Sequence[float]


class DenseCRF:
    """A fully connected CRF over points.

    Args:
        nvar: Number of points.
        nlabels: Number of labels.
        threads: Number of threads, as in ``densecrf.DenseCRF``.

    Raises:
        DenseCRFError: If an argument is not a number or out of its range.
    """

    def __init__(self, nvar: int, nlabels: int, *, threads: int | None = None) -> None:
        self._points, self._labels = count("nvar", nvar, 1), count("nlabels", nlabels, 1)
        self._threads = default_thread_count() if threads is None else count("threads", threads, 1)
        self._unary: FloatArray | None = None
        self._pairwise: list[Pairwise] = []
        self._couplings: list[tuple[Lattice, FloatArray]] | None = None

    def setUnary(self, u: Unary) -> None:  # noqa: N802
        """Set what each label of each point costs.

        Args:
            u: ConstUnary or LogisticUnary, with costs of shape (nlabels, points).

        Raises:
            DenseCRFError: If it is something else.
        """
        costs = u.costs if isinstance(u, Unary) else None
        if costs is None:
            raise DenseCRFError(f"unary: {type(u).__name__} is not allowed; give a ConstUnary or LogisticUnary")
        if costs.shape != (self._labels, self._points):
            raise DenseCRFError(f"unary: {costs.shape} is not allowed; give ({self._labels}, {self._points})")
        self._unary = costs

    def setUnaryEnergy(self, u: npt.ArrayLike, f: npt.ArrayLike | None = None) -> None:  # noqa: N802
        """Set what each label of each point costs.

        Args:
            u: (nlabels, points), -log of each label's probability, of any real type and memory order.
            f: (features, points), if the costs are ``u @ f``.

        Raises:
            DenseCRFError: If a shape or a value is not allowed.
        """
        self.setUnary(ConstUnary(u) if f is None else LogisticUnary(u, f))

    def addPairwiseEnergy(  # noqa: N802
        self,
        features: npt.ArrayLike,
        compat: npt.ArrayLike,
        kernel: int = KernelType.DIAG_KERNEL,
        normalization: int = NormalizationType.NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel of features, exp(-|f_i - f_j|^2 / 2).

        Args:
            features: (d, points), already divided by their standard deviations.
            compat: A number is what equal labels gain, (nlabels,) what equal labels cost, and (nlabels, nlabels) what
                two labels cost. Of a matrix, only the symmetric part counts.
            kernel: A KernelType. They differ only in learning, which the original does not offer either.
            normalization: A NormalizationType.

        Raises:
            DenseCRFError: If the features are not finite numbers of that shape.
            DenseCRFError: If another argument is not allowed, or the features reach too far.
        """
        values = matrix_of_numbers("features", features)
        if values.shape[1] != self._points:
            raise DenseCRFError(f"features: {values.shape} is not allowed; give (d, {self._points})")
        self._add(np.array(values, dtype=np.float32, order="C"), compat, kernel, normalization)

    def inference(self, n_iterations: int) -> FloatArray:
        """Compute marginals after ``n_iterations`` updates, float32 (nlabels, points); they sum to 1 over the labels.

        Raises:
            DenseCRFError: If no unary has been set.
            DenseCRFError: If ``n_iterations`` is not a whole number of at least 0.
        """
        iterations, unary = count("n_iterations", n_iterations, 0), self._costs()
        everything = np.arange(self._points, dtype=np.uint32)
        ours = self._prepared() if iterations else []
        if self._labels == 1:
            return np.ones_like(unary)
        with Workspace(self._threads) as work:
            if all(pair.matrix is None for pair in self._pairwise):
                field = Field.of(ours[0][0], everything, None, self._points, work) if ours else None
                return potts_mean_field(unary, field, iterations, 0.0, work)
            pairs = [Coupling(*pair) for pair in ours]
            return general_mean_field(unary, pairs, everything, everything, iterations, 0.0, work).marginals

    def startInference(self) -> tuple[FloatArray, FloatArray, FloatArray]:  # noqa: N802
        """Return the marginals before the first update, and two empty arrays, for ``stepInference``.

        Raises:
            DenseCRFError: If no unary has been set.
        """
        return self.inference(0), np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)

    def stepInference(self, Q: FloatArray, tmp1: object = None, tmp2: object = None) -> None:  # noqa: N802
        """Update marginals in place.

        Args:
            Q: float32 (nlabels, points), from ``startInference``.
            tmp1: Not used.
            tmp2: Not used.

        Raises:
            DenseCRFError: If ``Q`` is something else, or no unary has been set.
        """
        unary = self._costs()
        if not isinstance(Q, np.ndarray) or Q.dtype != np.float32 or not Q.flags.writeable:
            raise DenseCRFError("Q: is not allowed; give the writable float32 array of startInference")
        messages = self._messages(self._marginals(Q))
        powers = -unary - messages
        np.exp(powers - powers.max(axis=0), out=powers)
        np.divide(powers, powers.sum(axis=0), out=Q)

    def klDivergence(self, Q: npt.ArrayLike) -> float:  # noqa: N802
        """Compute the original's measure of how far marginals are from the CRF.

        It is the unary energy, minus the entropy, plus the pairwise energy with every pair counted twice. Where
        ``compat`` is a number, the pairwise energy is minus what equal labels gain. ``densecrf.DenseCRF.infer`` gives
        the KL divergence up to log Z, which mean field minimizes and in which each pair counts once.

        Args:
            Q: (nlabels, points).

        Raises:
            DenseCRFError: If ``Q`` is something else, or no unary has been set.
        """
        unary, marginals = self._costs(), self._marginals(Q)
        logarithm = np.log(np.maximum(marginals, np.finfo(np.float32).tiny))
        costs = (np.einsum("cn,cn", marginals, of, dtype=np.float64) for of in (logarithm, unary))
        return float(sum(costs) + np.einsum("cn,cn", marginals, self._messages(marginals), dtype=np.float64))

    def _add(self, features: FloatArray, compat: npt.ArrayLike, kernel: int, normalization: int) -> None:
        choice("kernel", kernel, KernelType)
        kind = choice("normalization", normalization, NormalizationType)
        weight, matrix = compatibility(compat, self._labels)
        key_space(features)  # raises if they reach too far: better here than in inference
        self._pairwise.append(Pairwise(features, weight, matrix, kind))
        self._couplings = None

    def _costs(self) -> FloatArray:
        if self._unary is None:
            raise DenseCRFError("unary: is missing; call setUnaryEnergy first")
        return self._unary

    def _marginals(self, Q: npt.ArrayLike) -> FloatArray:
        values = matrix_of_numbers("Q", Q)
        if values.shape != (self._labels, self._points):
            raise DenseCRFError(f"Q: {values.shape} is not allowed; give ({self._labels}, {self._points})")
        return np.ascontiguousarray(values, dtype=np.float32)

    def _prepared(self) -> list[tuple[Lattice, FloatArray]]:
        if self._couplings is None:
            with Workspace(self._threads, Arrays()) as work:  # arrays that are never released stay
                self._couplings = couplings(self._pairwise, self._labels, work)
        return self._couplings

    def _messages(self, marginals: FloatArray) -> FloatArray:
        """What every label of every point costs in view of the others, float32 (nlabels, points)."""
        total = np.zeros_like(marginals)
        with Workspace(self._threads) as work:
            for lattice, matrix in self._prepared():
                total += matrix @ lattice.filter(marginals, (0,), work)
        return total


class DenseCRF2D(DenseCRF):
    """A fully connected CRF over the pixels of an image; pixel (x, y) is point y * width + x.

    Args:
        width: Width of the image.
        height: Height of the image.
        nlabels: Number of labels.
        threads: Number of threads, as in ``densecrf.DenseCRF``.

    Raises:
        DenseCRFError: If an argument is not a number or out of its range.
    """

    def __init__(self, width: int, height: int, nlabels: int, *, threads: int | None = None) -> None:
        self._grid = count("height", height, 1), count("width", width, 1)
        super().__init__(self._grid[0] * self._grid[1], nlabels, threads=threads)

    def addPairwiseGaussian(  # noqa: N802
        self,
        sxy: Sigma,
        compat: npt.ArrayLike,
        kernel: int = KernelType.DIAG_KERNEL,
        normalization: int = NormalizationType.NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel of the places.

        Args:
            sxy: Standard deviation in pixels: one number, or one for x and one for y.
            compat: As in ``addPairwiseEnergy``.
            kernel: As in ``addPairwiseEnergy``.
            normalization: As in ``addPairwiseEnergy``.

        Raises:
            DenseCRFError: If an argument is not allowed.
        """
        features = Kernel(1, sigmas("sxy", sxy, 2)[::-1].tolist()).features(self._grid, None)
        self._add(features, compat, kernel, normalization)

    def addPairwiseBilateral(  # noqa: N802
        self,
        sxy: Sigma,
        srgb: Sigma,
        rgbim: npt.ArrayLike,
        compat: npt.ArrayLike,
        kernel: int = KernelType.DIAG_KERNEL,
        normalization: int = NormalizationType.NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel of the places and colors.

        Args:
            sxy: Standard deviation in pixels: one number, or one for x and one for y.
            srgb: Standard deviation in the colors: one number, or one each for red, green and blue.
            rgbim: uint8 (height, width, 3), of any memory order.
            compat: As in ``addPairwiseEnergy``.
            kernel: As in ``addPairwiseEnergy``.
            normalization: As in ``addPairwiseEnergy``.

        Raises:
            DenseCRFError: If the image is something else.
            DenseCRFError: If another argument is not allowed.
        """
        image = array("rgbim", rgbim)
        if image.dtype != np.uint8 or image.shape != (*self._grid, 3):
            wanted = f"uint8 {(*self._grid, 3)}; for others use utils.create_pairwise_bilateral, addPairwiseEnergy"
            raise DenseCRFError(f"rgbim: {image.dtype} {image.shape} is not allowed; give {wanted}")
        places, colors = sigmas("sxy", sxy, 2)[::-1].tolist(), sigmas("srgb", srgb, 3).tolist()
        self._add(Kernel(1, places, colors).features(self._grid, image), compat, kernel, normalization)
