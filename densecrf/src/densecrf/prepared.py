"""A CRF and one image: the lattices, and what they make of unaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from densecrf.arguments import Guide, checked_mask, checked_unary, like
from densecrf.compiled import FloatArray, IndexArray
from densecrf.errors import DenseCRFError
from densecrf.general import Coupling, MeanField, general_mean_field
from densecrf.kernel import Kernel
from densecrf.lattice import Filter, Lattice, Term, build_filter, build_lattice
from densecrf.mean_field import Field, potts_mean_field
from densecrf.numbers import count
from densecrf.workspace import Arrays, Workspace, default_thread_count

_CACHED_PIXELS = 2**20  # of a spatial filter that is kept: 50 MB


@dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters of a CRF, which ``DenseCRF`` describes."""

    kernels: tuple[Kernel, ...]
    iterations: int
    tolerance: float
    threads: int | None

    def workspace(self, arrays: Arrays | None = None) -> Workspace:
        """Threads and memory of a call."""
        return Workspace(self.threads or default_thread_count(), arrays)


class PreparedCRF:
    """A CRF prepared for one image by ``DenseCRF.prepare``. Call it with a unary to get the marginals.

    Used as a context manager, it hands its memory on to later calls, which saves time. After the block it cannot be
    called.
    """

    def __init__(
        self,
        crf: Parameters,
        guide: Guide,
        fixed: npt.ArrayLike | None,
        ignore: npt.ArrayLike | None,
        work: Workspace,
        origin: tuple[int, ...] | None = None,
        arrays: Arrays | None = None,
    ) -> None:
        self._arrays, self._ended = arrays, False
        self._crf, self._grid = crf, guide.grid
        fixed_mask, ignored = (checked_mask(*pair, guide.grid) for pair in (("fixed", fixed), ("ignore", ignore)))
        self._fixed = fixed_mask
        everything = np.arange(guide.pixels, dtype=np.uint32)
        self._connected: IndexArray = everything if ignored is None else everything[~ignored]
        kernels = [kernel for kernel in crf.kernels if kernel.weight] if len(self._connected) else []
        potts = [kernel for kernel in kernels if kernel.compatibility is None]
        self._potts = _lattice(potts, guide, self._connected, work, origin) if potts else None
        self._others = [
            Coupling(_lattice([kernel], guide, self._connected, work, origin), kernel.matrix())
            for kernel in kernels
            if kernel.compatibility is not None
        ]
        self._field: Field | None = None
        if self._potts is not None and not self._others:
            self._field = Field.of(self._potts, self._connected, fixed_mask, guide.pixels, work)

    def __enter__(self) -> PreparedCRF:
        return self

    def __exit__(self, *error: object) -> None:
        if self._arrays is not None:
            self._arrays.release()
        self._ended = True

    def __call__(
        self,
        unary: npt.ArrayLike | None = None,
        probabilities: npt.ArrayLike | None = None,
        *,
        iterations: int | None = None,
    ) -> Any:
        """Compute marginals as a call of ``DenseCRF`` does.

        Args:
            unary: (C, H, W), as in that call.
            probabilities: (C, H, W), as in that call.
            iterations: Number of updates (default: the CRF's).

        Raises:
            DenseCRFError: If an array has the wrong shape, type or values, or the ``with`` block has ended.
        """
        if self._ended:
            raise DenseCRFError("prepared image: its memory has gone to other calls; call it inside its with block")
        costs, grid = checked_unary(unary, probabilities)
        if grid != self._grid:
            raise DenseCRFError(f"unary: {grid} is not allowed for an image of {self._grid}; give one of the same size")
        with self._crf.workspace() as work:
            marginals = self.marginals(costs, work, iterations)
            return like(unary if unary is not None else probabilities, marginals.reshape(-1, *grid))

    def marginals(self, costs: FloatArray, work: Workspace, iterations: int | None = None) -> FloatArray:
        """Compute marginals, float32 (C, P), from costs (C, P)."""
        crf, updates = self._crf, self._updates(iterations)
        if len(costs) == 1:
            return np.ones_like(costs)
        if self._others:
            return self.mean_field(costs, work, updates).marginals
        return potts_mean_field(costs, self._field, updates, crf.tolerance, work)

    def _updates(self, iterations: int | None) -> int:
        return self._crf.iterations if iterations is None else count("iterations", iterations, least=0)

    def mean_field(self, costs: FloatArray, work: Workspace, iterations: int | None = None) -> MeanField:
        """Compute marginals, with energy and entropy, from costs (C, P)."""
        couplings = [*([Coupling(self._potts, None)] if self._potts else []), *self._others]
        for coupling in couplings:
            matrix = coupling.compatibility
            if matrix is not None and len(matrix) != len(costs):
                raise DenseCRFError(f"compatibility: of {len(matrix)} classes; the unary has {len(costs)}")
        free = self._connected if self._fixed is None else self._connected[~self._fixed[self._connected]]
        crf = self._crf
        updates = self._updates(iterations)
        return general_mean_field(costs, couplings, self._connected, free, updates, crf.tolerance, work)


def _lattice(
    kernels: Sequence[Kernel], guide: Guide, connected: IndexArray, work: Workspace, origin: tuple[int, ...] | None
) -> Lattice:
    """The lattice of these kernels over the connected pixels, those that look at the image first."""
    whole = len(connected) == guide.pixels
    known = guide.pixels <= _CACHED_PIXELS and not (origin and any(origin))
    terms = []
    for kernel in sorted(kernels, key=lambda kernel: kernel.srgb is None):
        source: FloatArray | Filter
        if kernel.srgb is None and whole and known:
            source = _spatial_filter(Kernel(1, kernel.sxy), guide.grid)
        else:
            features = kernel.features(guide.grid, guide.values, origin)
            source = features if whole else np.ascontiguousarray(features[:, connected])
        weight = kernel.weight if kernel.compatibility is None else 1.0  # Kernel.matrix has it
        terms.append(Term(weight, kernel.normalization, source))
    return build_lattice(terms, work)


@lru_cache(maxsize=4)
def _spatial_filter(kernel: Kernel, grid: tuple[int, ...]) -> Filter:
    with Workspace(1) as work:
        return build_filter(kernel.features(grid, None), work, Arrays())
