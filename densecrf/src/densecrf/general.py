"""Mean field with any compatibility, and with what it costs: plainly, with all C channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from densecrf.compiled import FloatArray, IndexArray
from densecrf.lattice import Lattice
from densecrf.workspace import Workspace

_LANES = (0,) * 8


@dataclass(frozen=True, eq=False)
class Coupling:
    """Some kernels with one compatibility.

    Attributes:
        lattice: Over the connected pixels.
        compatibility: float32 (C, C): what a pair of labels costs; None for Potts: 1 if they differ, 0 otherwise.
    """

    lattice: Lattice
    compatibility: FloatArray | None


@dataclass(frozen=True, eq=False)
class MeanField:
    """Marginals, and their energy and entropy after each update. Item 0 of these is before the first update.

    Mean field minimizes KL(Q || P) = energy - entropy + log Z, where log Z is not known. Energies are expectations
    under Q, summed over all pixels. Each pair of pixels counts once.

    Attributes:
        marginals: float32 (C, *grid).
        unary_energy: Expected unary energy.
        pairwise_energy: Expected energy of all kernels. Like the updates, it has every pixel's own term.
        entropy: Entropy of Q, in nats.
    """

    marginals: FloatArray
    unary_energy: tuple[float, ...]
    pairwise_energy: tuple[float, ...]
    entropy: tuple[float, ...]

    @property
    def updates(self) -> int:
        """Number of updates."""
        return len(self.entropy) - 1

    @property
    def energy(self) -> tuple[float, ...]:
        """Expected energy: unary plus pairwise."""
        return tuple(one + other for one, other in zip(self.unary_energy, self.pairwise_energy, strict=True))

    @property
    def kl(self) -> tuple[float, ...]:
        """KL(Q || P), up to log Z."""
        return tuple(energy - entropy for energy, entropy in zip(self.energy, self.entropy, strict=True))


def general_mean_field(
    unary: FloatArray,
    couplings: Sequence[Coupling],
    connected: IndexArray,
    free: IndexArray,
    iterations: int,
    tolerance: float,
    work: Workspace,
) -> MeanField:
    """Parallel updates of the free pixels, Q <- softmax(-unary - sum over couplings of compatibility @ lattice Q).

    Args:
        unary: float32 (C, P).
        couplings: Of the connected pixels.
        connected: uint32 (N,), in ascending order.
        free: uint32 (F,), those of the connected pixels that change.
        iterations: How many updates there are, at most.
        tolerance: They end earlier when no q_c - q_0 changes by more; 0: never.
        work: Threads and memory.
    """
    marginals = _softmax(-unary)
    among = np.searchsorted(connected, free)
    costs: list[tuple[float, float, float]] = []
    for iteration in range(iterations + 1):
        messages = _messages(marginals[:, connected], couplings, work)
        costs.append(_costs(marginals, unary, connected, messages))
        if iteration == iterations:
            break
        new = _softmax(-unary[:, free] - messages[:, among])
        difference = new - marginals[:, free]
        change = np.abs(difference - difference[0]).max(initial=0)
        marginals[:, free] = new
        if change < tolerance:
            messages = _messages(marginals[:, connected], couplings, work)
            costs.append(_costs(marginals, unary, connected, messages))
            break
    unary_energy, pairwise_energy, entropy = zip(*costs, strict=True)
    return MeanField(marginals, unary_energy, pairwise_energy, entropy)


def _messages(marginals: FloatArray, couplings: Sequence[Coupling], work: Workspace) -> FloatArray:
    """What every label of every connected pixel costs in view of the others, float32 (C, N)."""
    total = np.zeros_like(marginals)
    with work.scratch() as scratch:
        signals = _packed(marginals, scratch.zeros((-(-len(marginals) // 8), marginals.shape[1] * 8), np.float32))
        for coupling in couplings:
            filtered = _unpacked(coupling.lattice.filter(signals, _LANES, work), len(marginals))
            if coupling.compatibility is None:
                total += filtered.sum(0) - filtered
            else:
                total += coupling.compatibility @ filtered
    return total


def _packed(channels: FloatArray, out: FloatArray) -> FloatArray:
    """Channels (C, N) as blocks of lanes (B, N * L)."""
    by_lane = out.reshape(len(out), channels.shape[1], 8)
    for c, channel in enumerate(channels):
        by_lane[c // 8, :, c % 8] = channel
    return out


def _unpacked(blocks: FloatArray, channels: int) -> FloatArray:
    by_lane = blocks.reshape(len(blocks), -1, 8)
    channels_first: FloatArray = by_lane.transpose(0, 2, 1).reshape(len(blocks) * 8, -1)
    return channels_first[:channels]


def _costs(
    marginals: FloatArray, unary: FloatArray, connected: IndexArray, messages: FloatArray
) -> tuple[float, float, float]:
    """Unary energy, pairwise energy and entropy."""
    pairwise = 0.5 * np.einsum("cn,cn", marginals[:, connected], messages, dtype=np.float64)
    logarithm = np.log(np.maximum(marginals, np.finfo(np.float32).tiny))
    entropy = -np.einsum("cn,cn", marginals, logarithm, dtype=np.float64)
    return float(np.einsum("cn,cn", marginals, unary, dtype=np.float64)), float(pairwise), float(entropy)


def _softmax(scores: npt.NDArray[np.float32]) -> FloatArray:
    powers = np.exp(scores - scores.max(axis=0))
    marginals: FloatArray = powers / powers.sum(axis=0)
    return marginals
