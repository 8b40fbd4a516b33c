"""The settings of the fully connected CRF, which stages 2 and 3 share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import model_validator

from bana.errors import SettingsError
from bana.presets import Settings
from densecrf import DenseCRF, DenseCRFError


@contextmanager
def crf_errors() -> Iterator[None]:
    """Raise what the CRF refuses as SettingsError."""
    try:
        yield
    except DenseCRFError as error:
        raise SettingsError(str(error)) from error


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
        self.build(threads=1)  # pydantic reports its ValueError
        return self

    def at_scale(self, factor: float) -> CRFSettings:
        """The settings for an image of ``factor`` times the size: kernels reach as much farther."""
        return self.model_copy(
            update={"gaussian_sxy": self.gaussian_sxy * factor, "bilateral_sxy": self.bilateral_sxy * factor}
        )

    def build(self, threads: int | None) -> DenseCRF:
        """Make the CRF. ``threads`` is the number of threads (default: all cores)."""
        return DenseCRF(**self.model_dump(), threads=threads)
