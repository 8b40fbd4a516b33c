"""Finding the files that annotations name, without leaving the data set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bana.data.images import SUFFIXES
from bana.errors import DataError

T = TypeVar("T")


def checked_name(name: str, where: str) -> str:
    """A file name of an annotation in posix form, if it stays inside the folder that it is relative to.

    Raises:
        DataError: If the name is empty, absolute, or leaves the folder by ``..``.
    """
    posix = os.path.normpath(name.replace("\\", "/"))
    outside = posix in {".", ".."} or posix.startswith(("/", "../")) or posix[1:2] == ":"
    if not name.strip() or "\0" in name or outside:
        raise DataError(f"{where}: file name {name!r} leaves the image folder; use a name relative to it")
    return posix


def checked_path(folder: Path, path: Path, where: str) -> Path:
    """The path without ``..``, if it lies below the folder.

    Raises:
        DataError: If it lies outside.
    """
    if not normal(path).is_relative_to(normal(folder)):
        raise DataError(f"{where}: {path} leaves the folder {folder}; move the image there, or give the folder of both")
    return normal(path)


class LinkGuard:
    """Refuses files that symbolic links lead out of their folder; the folder itself may be a link.

    A folder is resolved once for all its files, and of a file only whether it is a link is asked: this adds
    microseconds to each record.
    """

    def __init__(self) -> None:
        self._real: dict[str, str] = {}
        self._stays: dict[tuple[str, str], bool] = {}

    def checked(self, folder: Path, path: Path, where: str) -> Path:
        """The path itself, if it leads to what lies below the folder that it is given for.

        Raises:
            DataError: If a link leads elsewhere.
        """
        root, parent = str(folder), str(path.parent)
        if (root, parent) not in self._stays:
            self._stays[root, parent] = self._holds(root, parent)
        if not self._stays[root, parent] or (path.is_symlink() and not self._holds(root, str(path))):
            raise DataError(
                f"{where}: {path} is, or is reached by, a link that leaves {folder}; put the file itself there"
            )
        return path

    def _holds(self, root: str, path: str) -> bool:
        if root not in self._real:
            self._real[root] = os.path.realpath(root)
        return Path(os.path.realpath(path)).is_relative_to(self._real[root])


def normal(path: Path) -> Path:
    """The absolute path without ``..``; links are kept."""
    return Path(os.path.normpath(path.absolute()))


def without_suffix(name: str) -> str:
    """``a/b.jpg`` -> ``a/b``."""
    return os.path.splitext(name)[0]  # noqa: PTH122 - a Path would refuse some names


def image_names(stem: str) -> list[str]:
    """The file names that an image called ``stem`` may have."""
    return [stem + suffix for lower in SUFFIXES for suffix in (lower, lower.upper())]


def find_image(links: LinkGuard, folders: Sequence[Path], names: Sequence[str], where: str) -> Path:
    """The first of the named files in the first folder that has one.

    Raises:
        DataError: If no folder has any, or a link leads out of the folder that has one.
    """
    for folder in folders:
        for name in names:
            path = folder / name
            if _is_file(path):
                return links.checked(folder, path, where)
    looked = ", ".join(str(folder) for folder in folders)
    raise DataError(f"{where}: image {names[0]!r} is not in {looked}; restore the image or remove its annotation")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long or that no file system can have
        return False


def list_images(folder: Path) -> list[Path]:
    """Every image below ``folder``, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def chosen_split(root: Path, split: str | None, found: Mapping[str, T]) -> tuple[str, T]:
    """The wanted split and what ``found`` holds for it; the only one where none is wanted.

    Raises:
        DataError: If the split is not there, or left out though there are several.
    """
    if split is None and len(found) == 1:
        return next(iter(found.items()))
    if split is not None and split in found:
        return split, found[split]
    if not found:
        raise DataError(f"{root}: holds no annotations of this format; check the path or choose another --format")
    names = join_names(name for name in found if name)
    if split is None:
        raise DataError(f"{root}: has several splits; choose one with --split: {names}")
    if set(found) <= {""}:
        raise DataError(f"{root}: has no splits, so not {split!r} either; leave --split out")
    raise DataError(f"{root}: has no split {split!r}; choose one of: {names}")


def join_names(names: Iterable[str], limit: int = 12) -> str:
    """A list of names for a message, cut where it is long."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more
