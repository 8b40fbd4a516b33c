"""Files at an address such as ``s3://bucket/data``, through fsspec."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bana.errors import SettingsError
from bana.extras import needed

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = "file://"


@dataclass(frozen=True)
class RemotePath:
    """A file or folder at an address: as much of a ``Path`` as labeling needs, with the same errors (OSError).

    Attributes:
        url: The address, in a form that fsspec knows, without a slash at its end.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return RemotePath(self.url.rpartition("/")[0])

    def read_bytes(self) -> bytes:
        """The file's content. Raises OSError if it cannot be had."""
        with self._connected() as (system, path):
            content: bytes = system.cat_file(path)
        return content

    def write_bytes(self, content: bytes) -> None:
        """Put the file there whole, which an object store does at once or not at all. Raises OSError if it cannot."""
        with self._connected() as (system, path):
            system.pipe_file(path, content)

    def exists(self) -> bool:
        """Whether something is there. Raises OSError if that cannot be told."""
        with self._connected() as (system, path):
            system.invalidate_cache()
            try:  # the system's own exists() takes any trouble for a no
                system.info(path)
            except FileNotFoundError:
                return False
        return True

    def files(self) -> list[str]:
        """The names of all files below it, sorted; one that is empty if it is a file itself.

        Raises:
            OSError: If they cannot be listed.
        """
        with self._connected() as (system, path):
            system.invalidate_cache()
            found = system.find(path)
        return sorted(name.removeprefix(path).lstrip("/") for name in found if not name.endswith("/"))

    def fetch(self, names: Sequence[str], folder: Path) -> None:
        """Copy files below it into a local folder, several at a time where the system can.

        Raises:
            OSError: If one cannot be had or written.
        """
        with self._connected() as (system, path):
            system.get([f"{path}/{name}" for name in names], [str(folder / name) for name in names])

    @contextmanager
    def _connected(self) -> Iterator[tuple[Any, str]]:
        """The file system and the path in it; whatever goes wrong in the block is an OSError of one line."""
        system, path = _file_system(self.url)
        try:
            yield system, path
        except Exception as error:  # each file system has errors of its own
            number = error.errno if isinstance(error, OSError) and error.errno else _number(error)
            raise OSError(number, " ".join(str(error).split()) or type(error).__name__) from error


AnyPath = Path | RemotePath
"""Where something is: on this machine, or at an address."""


def parse_path(text: str) -> AnyPath:
    """What a user names: a path, or an address such as ``s3://bucket/data``; ``file://`` is a path."""
    if text.startswith(_LOCAL):
        return Path(text.removeprefix(_LOCAL))
    return RemotePath(text.rstrip("/")) if _ADDRESS.match(text) else Path(text)


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. Raises SettingsError if there is none, or no package of it."""
    fsspec = needed("fsspec", "ray", url)
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:  # its message names the package
        raise SettingsError(f"{url}: cannot be opened ({error}); pip install that package") from error
    except ValueError as error:
        raise SettingsError(
            f"{url}: cannot be opened ({error}); give a path, or an address that fsspec knows"
        ) from error
    return system, path


def _number(error: Exception) -> int:
    kinds = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES}
    return next((number for kind, number in kinds.items() if isinstance(error, kind)), errno.EIO)
