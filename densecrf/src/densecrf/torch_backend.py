"""The fully connected CRF on the device of torch tensors: the formulas of the numpy version, as tensor operations.

Every point gets the simplex that the numpy version gives it: elevation, rounding and ranking repeat that version's
float32 operations one by one. Marginals agree with it to 1e-4 and not in every bit, because sums over points are taken
in another order; on a GPU that order changes from run to run, unless ``torch.use_deterministic_algorithms(True)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from densecrf.arguments import PROBABILITY_FLOOR, array, checked_guide, checked_mask, checked_unary
from densecrf.embedding import KeySpace, embedding_scale, key_space
from densecrf.errors import DenseCRFError
from densecrf.kernel import SMALLEST_SIGMA, Kernel
from densecrf.lattice import Normalization
from densecrf.prepared import Parameters


@dataclass(frozen=True, eq=False)
class TensorFilter:
    """A normalized Gaussian filter over N points, through a permutohedral lattice of M vertices.

    Attributes:
        vertex: int64 (d+1, N), the vertices around every point, 1..M.
        neighbors: int64 (d+1, 2, M+1), a vertex's neighbors along and against every direction; 0 for none.
        splat_weight: float32 (d+1, N), a point's share in each vertex, for splatting.
        slice_weight: float32 (d+1, N), the same for slicing.
    """

    vertex: Tensor
    neighbors: Tensor
    splat_weight: Tensor
    slice_weight: Tensor

    def __call__(self, signals: Tensor) -> Tensor:
        """The filtered signals, float32 (N, C) of (N, C)."""
        values = signals.new_zeros(self.neighbors.shape[2], signals.shape[1])
        for vertex, weight in zip(self.vertex, self.splat_weight, strict=True):
            values.index_add_(0, vertex, signals * weight[:, None])
        for ahead, behind in self.neighbors:
            # Number 0 is its own neighbor and stays 0.
            values = values + 0.5 * (values.index_select(0, ahead) + values.index_select(0, behind))
        out = torch.zeros_like(signals)
        for vertex, weight in zip(self.vertex, self.slice_weight, strict=True):
            out += values.index_select(0, vertex) * weight[:, None]
        return out


Coupling = tuple[TensorFilter, Tensor | None]
"""A filter and its compatibility, float32 (C, C): what a pair of labels costs; None for Potts: 1 if they differ."""


def gpu_marginals(
    crf: Parameters, image: Any, unary: Any = None, probabilities: Any = None, fixed: Any = None, ignore: Any = None
) -> Any:
    """Marginals of one image, as ``DenseCRF.__call__`` describes arguments, result and errors.

    Everything is moved to the device of the unary if that is a tensor, and of the image otherwise.

    Returns:
        float32 (C, *grid): a tensor on the device of the unary; numpy if that is no tensor.
    """
    source = unary if unary is not None else probabilities
    device = next(value.device for value in (source, image) if isinstance(value, Tensor))
    with torch.no_grad():
        costs, grid = _costs(unary, probabilities, device)
        values = _image(image, grid, device)
        held, ignored = (_mask(name, mask, grid, device) for name, mask in (("fixed", fixed), ("ignore", ignore)))
        connected = torch.nonzero(~ignored)[:, 0]
        couplings = build_couplings(crf.kernels, grid, values, connected, classes=costs.shape[1])
        marginals = mean_field(costs, couplings, connected, held, crf.iterations, crf.tolerance)
        result = marginals.T.reshape(-1, *grid).contiguous()
    return result if isinstance(source, Tensor) else result.cpu().numpy()


def mean_field(
    costs: Tensor,
    couplings: Sequence[Coupling],
    connected: Tensor,
    held: Tensor,
    iterations: int,
    tolerance: float,
) -> Tensor:
    """Parallel updates of the free pixels, Q <- softmax(-costs + filter Q), Q_0 = softmax(-costs).

    With a compatibility it is -(filter Q) @ compatibility that is added.

    Args:
        costs: float32 (P, C).
        couplings: Of the connected pixels; if there are none, Q_0 is the result.
        connected: int64 (N,), the pixels that take part.
        held: bool (P,), those that keep Q_0.
        iterations: How many updates there are, at most.
        tolerance: They end earlier when no q_c - q_0 changes by more; 0: never.

    Returns:
        Marginals float32 (P, C).
    """
    marginals = torch.softmax(-costs, dim=1)
    here, costs, held = marginals[connected], costs[connected], held[connected, None]
    for _ in range(iterations if couplings else 0):
        scores = -costs
        for lattice_filter, compatibility in couplings:
            filtered = lattice_filter(here)
            if compatibility is not None:
                # float64, as torch's global settings (TF32, autocast) may round float32 factors to 10 bits.
                filtered = -(filtered.double() @ compatibility.double()).float()
            scores += filtered
        old, here = here, torch.where(held, here, torch.softmax(scores, dim=1))
        if tolerance > 0:  # comparing waits for the device
            change = here - old
            if float((change - change[:, :1]).abs().max()) < tolerance:
                break
    return marginals.index_copy(0, connected, here)


def build_couplings(
    kernels: Sequence[Kernel], grid: tuple[int, ...], image: Tensor | None, connected: Tensor, classes: int
) -> list[Coupling]:
    """The couplings of the connected pixels, int64 (N,), by the kernels that have a weight.

    Raises:
        DenseCRFError: If a kernel looks at an image and there is none.
        DenseCRFError: If sigmas are too small, or a kernel is for another number of axes, channels or classes.
    """
    couplings: list[Coupling] = []
    for kernel in kernels if len(connected) else ():
        if kernel.weight:
            matrix = kernel.matrix()
            if matrix is not None and classes not in (1, len(matrix)):
                raise DenseCRFError(f"compatibility: of {len(matrix)} classes; the unary has {classes}")
            features = kernel_features(kernel, grid, image, connected.device)[:, connected]
            weight = kernel.weight if matrix is None else 1.0  # the matrix has it already
            lattice_filter = build_filter(features, weight, kernel.normalization)
            couplings.append((lattice_filter, None if matrix is None else torch.from_numpy(matrix).to(features)))
    return couplings


def kernel_features(kernel: Kernel, grid: tuple[int, ...], image: Tensor | None, device: torch.device) -> Tensor:
    """The features of ``Kernel.features``, bit by bit: float32 (d, P); ``image`` is (P, channels)."""
    sizes, channels = (1,) * len(grid), 0 if image is None else image.shape[1]
    kernel.features(sizes, None if image is None else np.zeros((*sizes, channels)))  # for its errors

    def divisors(sigma: Any, count: int) -> Tensor:
        # On the device: torch would turn division by a number of the host into multiplication by its reciprocal.
        return torch.from_numpy(np.array(np.broadcast_to(np.float32(sigma), count))).to(device)

    places = divisors(kernel.sxy, len(grid)).clamp_min(SMALLEST_SIGMA)
    lines = [torch.arange(size, dtype=torch.float32, device=device) / places[i] for i, size in enumerate(grid)]
    features = torch.stack(torch.meshgrid(*lines, indexing="ij")).flip(0).reshape(len(grid), -1)
    if image is None or kernel.srgb is None:
        return features
    values, sigmas = image.T, divisors(kernel.srgb, channels)[:, None]
    if not image.is_floating_point():
        sigmas = sigmas.clamp_min(SMALLEST_SIGMA)
    exact = torch.float32 if image.element_size() <= 2 or image.dtype == torch.float32 else torch.float64
    return torch.cat([features, (values.to(exact) / sigmas.to(exact)).float()])


def build_filter(features: Tensor, weight: float, normalization: Normalization) -> TensorFilter:
    """``weight`` times the normalized filter of points with features (d, N), divided by their standard deviations.

    Raises:
        DenseCRFError: If the features reach too far (a sigma is too small).
    """
    space = key_space(torch.stack(torch.aminmax(features, dim=1), dim=1).cpu().numpy())
    keys, share = embed(features, space)
    vertex, neighbors = link(keys, space)
    row_sums = TensorFilter(vertex, neighbors, share, share)(torch.ones_like(share[0])[:, None])[:, 0]
    factor = torch.full_like(row_sums, math.sqrt(weight))
    if normalization == "symmetric":
        splat_scale = slice_scale = factor / row_sums.sqrt()
    elif normalization == "before":
        splat_scale, slice_scale = factor / row_sums, factor
    elif normalization == "after":
        splat_scale, slice_scale = factor, factor / row_sums
    else:
        splat_scale, slice_scale = factor / (1 + 2.0 ** -len(features)), factor
    return TensorFilter(vertex, neighbors, share * splat_scale, share * slice_scale)


def embed(features: Tensor, space: KeySpace) -> tuple[Tensor, Tensor]:
    """The simplex around every point; operation by operation that of ``densecrf.embedding.embed``.

    Args:
        features: float32 (d, N), already divided by their standard deviations.
        space: Of these features.

    Returns:
        Keys int64 (d+1, N) of the vertices of each remainder, and float32 (d+1, N), barycentric coordinates.
    """
    d, around = len(features), len(features) + 1
    inverse = float(np.float32(1) / np.float32(around))
    rows, suffix = [], torch.zeros_like(features[0])
    for i in range(d, 0, -1):
        scaled = features[i - 1] * float(embedding_scale(d)[i - 1])
        rows.append(suffix - i * scaled)
        suffix = suffix + scaled
    lifted = torch.stack([suffix, *reversed(rows)])

    # The nearest vertex of remainder 0, if the rounded coordinates happen to sum to zero; ties go to even ...
    quotient = torch.round(lifted * inverse)
    order = torch.sort(lifted - quotient * around, dim=0, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(
        0, order, torch.arange(around, device=order.device)[:, None].expand_as(order)
    )
    # ... and otherwise the coordinates that were rounded furthest go back by one.
    position = rank + quotient.sum(dim=0).long()
    back = (position < 0).long() - (position > d).long()
    rank, quotient = position + around * back, quotient + back
    residual = (lifted - quotient * around) * inverse
    ranked = torch.empty_like(residual).scatter_(0, rank, residual)
    share = torch.cat([ranked[d:] + (1 - ranked[:1]), (ranked[:-1] - ranked[1:]).flip(0)])

    # Keys are counted modulo 2^64.
    strides = torch.tensor(space.strides, dtype=torch.int64, device=rank.device)[:, None].expand_as(rank)
    origin = (space.origin + 2**63) % 2**64 - 2**63
    first = (quotient.long() * strides).sum(dim=0, keepdim=True) + origin
    steps = torch.empty_like(rank).scatter_(0, rank, strides)[1:].flip(0)
    return torch.cat([first, first - steps.cumsum(dim=0)]), share


def link(keys: Tensor, space: KeySpace) -> tuple[Tensor, Tensor]:
    """Number the distinct keys (d+1, N) of every remainder and find each vertex's neighbors.

    Returns:
        ``vertex`` int64 (d+1, N) and ``neighbors`` int64 (d+1, 2, M+1), as of ``TensorFilter``.
    """
    known, vertex = zip(*(torch.unique(of_remainder, return_inverse=True) for of_remainder in keys), strict=True)
    bases = [1, *(1 + np.cumsum([len(distinct) for distinct in known])).tolist()]
    neighbors = keys.new_zeros(len(keys), 2, bases[-1])
    for remainder, distinct in enumerate(known):
        after = (remainder + 1) % len(keys)
        first, last = bases[remainder : remainder + 2]
        numbers = torch.arange(first, last, device=keys.device)
        for direction, (ahead, behind) in enumerate(neighbors):
            wanted = distinct + space.step(remainder, direction)
            place = torch.searchsorted(known[after], wanted).clamp_max(len(known[after]) - 1)
            ahead[first:last] = torch.where(known[after][place] == wanted, place + bases[after], 0)
            behind[ahead[first:last]] = numbers
    neighbors[:, :, 0] = 0
    return torch.stack([number + base for number, base in zip(vertex, bases, strict=False)]), neighbors


def _costs(unary: Any, probabilities: Any, device: torch.device) -> tuple[Tensor, tuple[int, ...]]:
    """``checked_unary``, for a tensor where it is: float32 (P, C), and the grid."""
    name, given = ("unary", unary) if probabilities is None else ("probabilities", probabilities)
    if not isinstance(given, Tensor) or (unary is not None and probabilities is not None):
        costs, grid = checked_unary(unary, probabilities)
        return _to_device(costs, device).T.contiguous(), grid
    kind = _stand_in(name, given)
    if kind.dtype.kind not in "fiu" or not 2 <= kind.ndim <= 4 or kind.size == 0:
        raise DenseCRFError(f"{name}: {kind.dtype} {kind.shape} is not allowed; give numbers (C, H, W), C >= 1")
    extremes = torch.stack(torch.aminmax(given if given.is_floating_point() else given.double()))
    checked_unary(**{"unary": None, "probabilities": None, name: extremes.cpu().numpy().astype(kind.dtype)[:, None]})
    flat = given.to(device, torch.float32).reshape(len(given), -1).T.contiguous()
    return flat if probabilities is None else -flat.clamp_min(PROBABILITY_FLOOR).log(), kind.shape[1:]


def _image(image: Any, grid: tuple[int, ...], device: torch.device) -> Tensor | None:
    """``checked_guide``, for a tensor where it is: the image (P, channels) of its own type; None if there is none."""
    if not isinstance(image, Tensor):
        values = checked_guide(image, grid).values
        return None if values is None else _to_device(values, device).reshape(-1, values.shape[-1])
    kind = _stand_in("image", image)
    if kind.dtype.kind == "f" and kind.size:
        low, high = torch.aminmax(image)
        kind = _stand_in("image", image, 0 * float(low + high))  # NaN if there is one, or an infinite value
    checked_guide(kind, grid)
    return image.to(device).reshape(math.prod(grid), -1)


def _mask(name: str, mask: Any, grid: tuple[int, ...], device: torch.device) -> Tensor:
    """``checked_mask``, for a tensor where it is: bool (P,)."""
    if isinstance(mask, Tensor):
        checked_mask(name, _stand_in(name, mask), grid)
        return mask.to(device).reshape(-1)
    flat = checked_mask(name, mask, grid)
    return torch.zeros(math.prod(grid), dtype=torch.bool, device=device) if flat is None else _to_device(flat, device)


def _stand_in(name: str, given: Tensor, value: float = 0.0) -> npt.NDArray[Any]:
    """An array of the shape and type of a tensor on any device, for checks of these; it takes no memory."""
    return array(name, torch.full((), value, dtype=given.dtype).expand(given.shape))


def _to_device(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), order="C")).to(device)
