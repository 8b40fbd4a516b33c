"""Workers that other processes can import."""

import os
from dataclasses import dataclass
from functools import cached_property

from bana.engine.pool import Worker
from bana.errors import DataError


class Ends(Worker):
    """A worker whose process ends without a word."""

    def __call__(self, item):
        os._exit(1)


@dataclass(frozen=True)
class Half(Worker):
    """Halves even numbers, with a divisor that is loaded in each process."""

    sent: tuple = ()

    @cached_property
    def divisor(self):
        return 2

    def __call__(self, number):
        if number % self.divisor:
            raise DataError(f"{number} is odd")
        return number // self.divisor
