"""The settings of the fully connected CRF, which stages 2 and 3 share."""

from __future__ import annotations

from pydantic import model_validator

from bana.crf import DenseCRF
from bana.errors import BanaError
from bana.presets import Settings


class CRFSettings(Settings):
    """The arguments of DenseCRF; kernel widths are in pixels and gray values."""

    gaussian_weight: float = 3
    gaussian_sxy: float = 3
    bilateral_weight: float = 4
    bilateral_sxy: float = 55
    bilateral_srgb: float = 3
    iterations: int = 10

    @model_validator(mode="after")
    def _check(self) -> CRFSettings:
        try:
            self.build(threads=1)
        except BanaError as error:
            raise ValueError(str(error)) from error
        return self

    def build(self, threads: int | None) -> DenseCRF:
        """Make the CRF. ``threads`` is the number of threads (None: all cores)."""
        return DenseCRF(**self.model_dump(), threads=threads)
