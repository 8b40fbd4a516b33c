"""Dividing a data set among machines that know nothing of each other."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bana.errors import SettingsError

FOLDER = re.compile(r"(\d+)-of-(\d+)")
"""The name of a shard's folder."""


@dataclass(frozen=True)
class Shard:
    """One part of a data set. Which image is in which depends on its id alone, and on how many parts there are.

    Attributes:
        number: 1..count.
        count: How many parts.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that ``3/8`` means. Raises SettingsError if a text means none."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise SettingsError(f"shard {text!r}: is no part of a whole; give NUMBER/COUNT, from 1/8 to 8/8 for eight")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_rank(cls, environment: Mapping[str, str] = os.environ) -> Shard | None:
        """This process's shard where a launcher such as torchrun has started several; None where it is alone."""
        rank, size = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
        if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size) and int(size) > 1):
            return None
        return cls(int(rank) + 1, int(size))

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.number}-of-{self.count}"

    def has(self, image_id: str) -> bool:
        """Whether an image is in it."""
        digest = hashlib.sha256(image_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1
