"""The search for the best label settings. Its next trial follows from its seed and its results so far.

The paper chooses the CRF's parameters on 100 images with true masks, and the threshold of A by a grid search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import numpy as np

from bana.engine.seeds import seed_of
from bana.label.settings import LabelSettings

SearchMethod = Literal["random", "grid"]

Values = dict[str, float]
"""Values of the searched parameters by their names, in the order of PARAMETERS."""


@dataclass(frozen=True)
class Parameter:
    """A numeric setting of labeling, and where it is searched.

    Attributes:
        name: The setting; ``crf.bilateral_sxy`` is ``bilateral_sxy`` of ``crf``.
        low: Least value of a random search.
        high: Greatest value of a random search.
        logarithmic: Whether a random search draws the value's logarithm uniformly, instead of the value itself.
        whole: Whether the value is a whole number.
        grid: The values that a grid search tries besides the present one.
    """

    name: str
    low: float
    high: float
    logarithmic: bool
    grid: tuple[float, ...]
    whole: bool = False

    def at(self, share: float) -> float:
        """The value at a share 0..1 of the range, to four digits: settings are read by people too."""
        if self.logarithmic:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        return float(round(value)) if self.whole else float(f"{value:.4g}")

    def shown(self, method: SearchMethod) -> str:
        """What a search tries, for people."""
        if method == "grid":
            return ", ".join(f"{value:g}" for value in self.grid)
        return f"{self.low:g} to {self.high:g}"


PARAMETERS = (
    Parameter("attention_threshold", 0.0, 1.0, False, (0.0, 0.3, 0.5, 0.7, 0.9, 0.99)),
    Parameter("grid_size", 1.0, 4.0, False, (1.0, 2.0, 3.0, 4.0), whole=True),
    Parameter("refinement_scale", 1.0, 16.0, True, (1.0, 2.0, 4.0, 8.0, 16.0)),
    Parameter("crf.bilateral_weight", 1.0, 16.0, True, (1.0, 2.0, 4.0, 8.0)),
    Parameter("crf.bilateral_sxy", 15.0, 240.0, True, (20.0, 40.0, 55.0, 80.0, 120.0)),
    Parameter("crf.bilateral_srgb", 1.0, 20.0, True, (2.0, 3.0, 5.0, 8.0, 13.0)),
    Parameter("crf.gaussian_weight", 0.75, 12.0, True, (1.0, 3.0, 6.0)),
    Parameter("crf.gaussian_sxy", 0.75, 12.0, True, (1.0, 3.0, 6.0)),
)
"""Everything that can be searched."""


@dataclass(frozen=True)
class Trial:
    """Values that were tried.

    Attributes:
        values: The values.
        miou: mIoU of Y_crf over the images searched on, 0..100.
    """

    values: Values
    miou: float


@dataclass(frozen=True)
class Search:
    """A search that starts from some settings.

    Attributes:
        method: ``random`` draws all parameters at once, each trial independent of the others. ``grid`` changes one
            parameter after the other and keeps the best value of each, round and round, until a whole round finds
            nothing better.
        present: The settings to start from. They are the first trial.
        seed: Seed of the random search.
    """

    method: SearchMethod
    present: LabelSettings
    seed: int

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of PARAMETERS on which labels depend under the present settings."""
        idle = set()
        if self.present.u0 != "attention":
            idle |= {"attention_threshold", "grid_size"}
        if not self.present.refinements:
            idle.add("refinement_scale")
        return tuple(parameter for parameter in PARAMETERS if parameter.name not in idle)

    def proposals(self, trials: Sequence[Trial], most: int) -> list[Values]:
        """The values to try next, in order, as far as they are known before their results are.

        Args:
            trials: All finished trials, in order.
            most: Most trials in all.

        Returns:
            The values, the same whether they are tried one by one or all at once. Empty if there are ``most`` trials,
            or the grid search has ended.
        """
        left = max(most - len(trials), 0)
        if not trials:
            return [self._present()][:left]
        if self.method == "grid":
            return self._descent(trials)[:left]
        return [self._drawn(number) for number in range(len(trials), most)]

    def settings(self, values: Values) -> LabelSettings:
        """The present settings with these values."""
        changed = self.present.model_dump()
        for name, value in values.items():
            group, _, key = name.rpartition(".")
            (changed[group] if group else changed)[key] = value
        return LabelSettings.model_validate(changed)

    def _present(self) -> Values:
        known = self.present.model_dump()
        known |= {f"crf.{key}": value for key, value in known["crf"].items()}
        return {parameter.name: float(known[parameter.name]) for parameter in self.parameters}

    def _drawn(self, number: int) -> Values:
        parameters = self.parameters
        shares = np.random.default_rng(seed_of(self.seed, "trial", number)).random(len(parameters))
        return {parameter.name: parameter.at(share) for parameter, share in zip(parameters, shares, strict=True)}

    def _descent(self, trials: Sequence[Trial]) -> list[Values]:
        """The untried values of the parameter whose turn it is; the turns before it are replayed from the trials."""
        known = {tuple(trial.values.values()): trial.miou for trial in trials}
        turns, unchanged, best = cycle(self.parameters), 0, trials[0].values
        while unchanged < len(self.parameters):
            parameter = next(turns)
            candidates = [best | {parameter.name: value} for value in parameter.grid]
            missing = [values for values in candidates if tuple(values.values()) not in known]
            if missing:
                return missing
            winner = max([best, *candidates], key=lambda values: known[tuple(values.values())])  # the first of equals
            unchanged = unchanged + 1 if winner == best else 0
            best = winner
        return []


def best_trial(trials: Sequence[Trial]) -> Trial:
    """The trial with the greatest mIoU; of equal ones the first, so that only better settings replace the present."""
    return max(trials, key=lambda trial: trial.miou)
