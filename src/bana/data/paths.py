"""Finding the files that annotations name, without leaving the data set."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import TypeVar

from bana.data.images import SUFFIXES
from bana.errors import DataError
from bana.io.remote import RemotePath

T = TypeVar("T")
FileT = TypeVar("FileT", Path, RemotePath)

SPLIT_FOLDERS = ("test", "train", "training", "val", "valid", "validation")
"""Names of folders that are taken for splits where they hold a data set each, and the folder around them none."""


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


class FolderFiles:
    """Finds the files of folders, and refuses those that symbolic links lead out of theirs.

    The folder itself may be a link. A folder is resolved and listed once for all its files, and of a file only whether
    it is a link is asked: this adds microseconds to each record.

    Args:
        follow_links: Whether files are taken that links lead to, wherever they are: version control and caches of data
            put links in the place of files.
    """

    def __init__(self, *, follow_links: bool = False) -> None:
        self._follow_links = follow_links
        self._real: dict[str, str] = {}
        self._stays: dict[tuple[str, str], bool] = {}
        self._alike: dict[Path, dict[str, list[str]]] = {}

    def checked(self, folder: Path, path: Path, where: str) -> Path:
        """The path itself, if it leads to what lies below the folder that it is given for.

        Raises:
            DataError: If a link leads elsewhere.
        """
        if self._follow_links:
            return path
        root, parent = str(folder), str(path.parent)
        if (root, parent) not in self._stays:
            self._stays[root, parent] = self._holds(root, parent)
        if not self._stays[root, parent] or (path.is_symlink() and not self._holds(root, str(path))):
            raise DataError(
                f"{where}: {path} is, or is reached by, a link that leaves {folder}; put the file itself there, or "
                "add --follow-links (not for bana app)"
            )
        return path

    def alike(self, path: Path) -> Path | None:
        """The file of this name in another case or Unicode form; None if there is none, or several."""
        found = [name for name in self._listed(path.parent).get(_folded(path.name), ()) if is_file(path.parent / name)]
        return path.parent / found[0] if len(found) == 1 else None

    def of_stem(self, folder: Path, stem: str) -> list[Path]:
        """The images called ``stem`` and a suffix in a folder, by the order of SUFFIXES; ``stem`` may hold folders."""
        place, name = (folder / stem).parent, Path(stem).name
        found = [place / each for suffix in SUFFIXES for each in self._listed(place).get(_folded(name + suffix), ())]
        exact = [path for path in found if path.name.startswith(name)]
        return [path for path in exact or found if is_file(path)]

    def _listed(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._alike:
            names = self._alike[folder] = {}
            with suppress(OSError, ValueError), os.scandir(folder) as entries:
                for entry in entries:
                    names.setdefault(_folded(entry.name), []).append(entry.name)
        return self._alike[folder]

    def _holds(self, root: str, path: str) -> bool:
        if root not in self._real:
            self._real[root] = os.path.realpath(root)
        return Path(os.path.realpath(path)).is_relative_to(self._real[root])


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def normal(path: Path) -> Path:
    """The absolute path without ``..``; links are kept."""
    return Path(os.path.normpath(path.absolute()))


def home_of_file(file: FileT) -> FileT:
    """The folder of the data set that a file belongs to: its own, or the one around a folder ``annotations``."""
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def last_part(name: str) -> str:
    """The file name at the end of a path of any system: ``C:/a/b.jpg`` -> ``b.jpg``, with backslashes too."""
    return PureWindowsPath(name).name


def id_of_name(name: str) -> str:
    """The id of an image by its file name: without suffix, in one Unicode form (NFC)."""
    return unicodedata.normalize("NFC", without_suffix(name))


def without_suffix(name: str) -> str:
    """``a/b.jpg`` -> ``a/b``."""
    return os.path.splitext(name)[0]  # noqa: PTH122 - a Path would refuse some names


def find_image(files: FolderFiles, folders: Sequence[Path], names: Sequence[str], where: str) -> Path:
    """The first of the named files in the first folder that has one; case and Unicode form count only if they must.

    Raises:
        DataError: If no folder has any, or a link leads out of the folder that has one.
    """
    for find in (_exact, files.alike):
        for folder in folders:
            for name in names:
                path = find(folder / name)
                if path is not None:
                    return files.checked(folder, path, where)
    raise image_missing(names[0], folders, where)


def named_image(
    files: FolderFiles,
    folders: Sequence[Path],
    name: str,
    where: str,
    repair: Callable[[str], None],
    others: Sequence[str] = (),
    part: str = "",
) -> Path:
    """The image that an annotation names; of a name that leaves the folders, the one with its last part.

    Args:
        files: Finds it.
        folders: Where it may be.
        name: As the annotation has it.
        where: File and place in it, for messages.
        repair: Is told if the name leaves the folders, and may raise.
        others: Names to look for after it.
        part: What of that place holds the name, for the message that it leaves the folders.

    Raises:
        DataError: If there is no such image.
    """
    try:
        posix = checked_name(name, where + part)
    except DataError as error:
        path = _last_named(files, folders, name)
        if path is None:
            raise
        repair(f"{error}; {path} is taken")
        return path
    return find_image(files, folders, [posix, *others], where)


def _last_named(files: FolderFiles, folders: Sequence[Path], name: str) -> Path | None:
    last = last_part(name)
    if last in ("", ".", ".."):
        return None
    with suppress(DataError):
        return find_image(files, folders, [last], "")
    return None


def image_missing(name: str, folders: Sequence[Path], where: str) -> DataError:
    """The error for an image that is in none of the folders."""
    looked = ", ".join(str(folder) for folder in folders)
    return DataError(f"{where}: image {name!r} is not in {looked}; restore the image or remove its annotation")


def _exact(path: Path) -> Path | None:
    return path if is_file(path) else None


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for names that no file system can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long or that no file system can have
        return False


def split_folders(path: Path) -> list[Path]:
    """The folders of a folder that are called as splits are, sorted."""
    return [folder for name in SPLIT_FOLDERS if (folder := path / name).is_dir()] if path.is_dir() else []


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
    if split is None:
        names = join_names(name for name in found if name)
        raise DataError(f"{root}: has several splits; choose one with --split: {names}")
    raise split_missing(root, split, found)


def split_missing(root: Path, split: str, found: Iterable[str]) -> DataError:
    """The error for a split that is none of those found; the name of a whole data set without splits is ``""``."""
    names = [name for name in found if name]
    if not names:
        return DataError(f"{root}: has no splits, so not {split!r} either; leave out --split")
    return DataError(f"{root}: has no split {split!r}; choose one of: {join_names(names)}")


def join_names(names: Iterable[str], limit: int = 12) -> str:
    """A list of names for a message, cut where it is long."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more
