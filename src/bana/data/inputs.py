"""Photographs and videos that a user names, as one stream of pictures without boxes."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from bana.data.classes import read_lines
from bana.data.images import SUFFIXES, open_image, open_record_image
from bana.data.paths import checked_name, list_images, normal, without_suffix
from bana.data.pixel_values import BY_TYPE, PixelValues
from bana.data.records import ImageRecord
from bana.data.videos import VideoFile, frame_name, is_video, video_digest
from bana.errors import DataError
from bana.io.files import file_digest

LIST_SUFFIX = ".txt"
"""The file name ending (lower case) that is taken for a list of paths."""

_WILDCARD = re.compile(r"[*?\[]")
_NamedFile = tuple[str, Path, str]  # its name with suffix, relative to what was given; the file; where it was named


@dataclass(frozen=True, eq=False)
class InputImage:
    """A photograph, or a frame of a video, whose pixels are not read yet.

    A frame's picture holds the decoded frame: let go of it before the next, or a whole video stays in memory.

    Attributes:
        name: Unique in a call: posix path without suffix, relative to what was given, never leaving it. A frame's is
            ``<video name>/<number>``, six digits from 000001.
        path: The image or video file.
        frame: The frame's number in the video, from 1; None for a photograph.
        values: How a photograph's file is read.
    """

    name: str
    path: Path
    frame: int | None
    values: PixelValues
    _read: Callable[[], npt.NDArray[np.uint8]] = field(repr=False)
    _sign: Callable[[], str] = field(repr=False)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Read the picture upright, as RGB: a photograph by open_image's rules, a frame turned as its video asks.

        Returns:
            uint8 (H, W, 3), the caller's own.

        Raises:
            DataError: If the file is missing or damaged, or the video cannot be decoded from this frame on.
        """
        return self._read()

    def digest(self) -> str:
        """What the pixels depend on: SHA-256 of the file's content in hex; for a frame followed by ``#<number>``.

        A video's content is read once for all its frames.

        Raises:
            DataError: If the file cannot be read.
        """
        return self._sign()


class InputImages:
    """Pictures in the order of their names, to run through as often as wanted. Made by find_inputs.

    No image is opened and no video decoded before its turn. Iterating never fails: where a video cannot be decoded,
    one picture stands for the rest of it and raises when its pixels are asked for. ``len`` is for progress: frames
    are counted as the video states them (where it does not, by its packets), and fewer may be decoded if it is cut.
    """

    def __init__(self, sources: Sequence[InputImage | _Video]) -> None:
        self._sources = tuple(sources)

    def __len__(self) -> int:
        return sum(1 if isinstance(source, InputImage) else source.count for source in self._sources)

    def __iter__(self) -> Iterator[InputImage]:
        for source in self._sources:
            if isinstance(source, InputImage):
                yield source
            else:
                yield from source.frames()


def find_inputs(
    inputs: Iterable[str | PathLike[str]], out: Path | None = None, values: PixelValues = BY_TYPE
) -> InputImages:
    """Find the pictures that a user names.

    Args:
        inputs: Each an image or video file, whose name is its stem; a folder, searched for images (no videos, nothing
            hidden) in all its subfolders; a pattern (``*``, ``?``, ``[]``, ``**`` for any subfolders) of images and
            videos, with names relative to its leading folders without wildcards; or a ``.txt`` file with the path of an
            image or video a line, relative to the list's folder as names are (a file outside goes by its file name).
            Blank lines and lines that start with # are skipped. A file named twice alike is taken once.
        out: The folder that results are written to. Where it lies below a folder that is searched it is left out, or
            the masks of one call would be the photographs of the next.
        values: How photographs are read.

    Raises:
        DataError: If an input is missing, holds no picture or is of no known kind, two pictures have the same name, or
            a name would leave the output folder.
        SettingsError: If a video is named and PyAV is not installed.
    """
    found: dict[str, Path] = {}
    for each in inputs:
        for file_name, path, where in _named_files(os.fspath(each), out):
            # A video's name is a folder, so that clip.jpg and clip.mp4 do not clash.
            name = without_suffix(checked_name(file_name, where)) + ("/" if is_video(path) else "")
            first = found.setdefault(name, path)
            if normal(first) != normal(path):
                _refuse_same_name(where, name.rstrip("/"), first)
    if not found:
        raise DataError("no images are named; name an image, a folder, a pattern, a list or a video")
    for name, path in found.items():
        folder, _, last = name.rpartition("/")
        if f"{folder}/" in found and re.fullmatch(r"\d{6,}", last):
            _refuse_same_name(str(path), name, found[f"{folder}/"])
    return InputImages([_source(name, path, values) for name, path in sorted(found.items())])


def inputs_from_records(records: Iterable[ImageRecord]) -> InputImages:
    """The pictures of records, by image id, in their order. Raises DataError if two have the same id."""
    pictures: dict[str, InputImage | _Video] = {}
    for each in records:
        if each.image_id in pictures:
            _refuse_same_name(str(each.path), each.image_id, pictures[each.image_id].path)
        read, sign = partial(open_record_image, each), partial(_record_digest, each)
        number = each.frame.number + 1 if each.is_in_video and each.frame else None
        pictures[each.image_id] = InputImage(each.image_id, each.path, number, each.values, read, sign)
    return InputImages(list(pictures.values()))


def _source(name: str, path: Path, values: PixelValues) -> InputImage | _Video:
    if name.endswith("/"):
        return _Video(name.rstrip("/"), path)
    read, sign = partial(open_image, path, values), partial(_digest, path, values)
    return InputImage(name, path, None, values, read, sign)


def _record_digest(record: ImageRecord) -> str:
    if record.is_in_video and record.frame:
        return f"{video_digest(record.path)}#{record.frame.number + 1}"
    return _digest(record.path, record.values)


def _digest(path: Path, values: PixelValues) -> str:
    digest = file_digest(path)
    return digest if values.is_default else f"{digest} {values}"


def _refuse_same_name(where: str, name: str, first: Path) -> NoReturn:
    raise DataError(f"{where}: would be called {name!r} as {first} is; rename one, or name them in two calls")


def _named_files(name: str, out: Path | None) -> list[_NamedFile]:
    if os.path.isdir(name):  # noqa: PTH112 - a Path's own raises for names that no file system can have
        return _in_folder(Path(name), out)
    if _is_file(name):  # before patterns: a file may be called photo[1].jpg
        path = Path(name)
        return _in_list(path) if path.suffix.lower() == LIST_SUFFIX else [(path.name, _supported(path, name), name)]
    if _WILDCARD.search(name):
        return _matching(name, out)
    raise DataError(f"{name or repr(name)}: no such file or folder; check the path")


def _in_folder(folder: Path, out: Path | None) -> list[_NamedFile]:
    names = [path.relative_to(folder) for path in list_images(folder)]
    files = _without_output(
        out, folder, [name for name in names if not any(part.startswith(".") for part in name.parts)]
    )
    if not files:
        raise DataError(f"{folder}: holds no image ({', '.join(SUFFIXES)}); check the path, or name videos one by one")
    return files


def _matching(pattern: str, out: Path | None) -> list[_NamedFile]:
    parts = Path(pattern).parts
    fixed = tuple(takewhile(lambda part: not _WILDCARD.search(part), parts))
    folder, rest = Path(*fixed), Path(*parts[len(fixed) :])
    matches = glob.glob(str(rest), root_dir=folder, recursive=True)  # noqa: PTH207 - a Path's takes hidden files
    names = [Path(name) for name in sorted(matches) if _is_input(Path(name)) and _is_file(folder / name)]
    files = _without_output(out, folder, names)
    if not files:
        raise DataError(f"{pattern}: no image or video matches this pattern; check it, with ** for all subfolders")
    return files


def _without_output(out: Path | None, folder: Path, names: list[Path]) -> list[_NamedFile]:
    """The files that are not in the output folder, where that is a part of the folder that is searched."""
    files = [(name.as_posix(), folder / name, str(folder / name)) for name in names]
    if out is None or normal(folder) not in normal(out).parents:
        return files
    return [file for file in files if not normal(file[1]).is_relative_to(normal(out))]


def _in_list(file: Path) -> list[_NamedFile]:
    folder = normal(file.parent)
    files = []
    for number, line in enumerate(map(str.strip, read_lines(file)), start=1):
        if not line or line.startswith("#"):
            continue
        where, path = f"{file}:{number}", normal(folder / line)
        if not _is_file(path):
            raise DataError(f"{where}: {line!r} is not a file; correct the line or restore the file")
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
        files.append((name, _supported(path, f"{where}: {line!r}"), where))
    if not files:
        raise DataError(f"{file}: names no images; write the path of one on each line")
    return files


def _supported(path: Path, where: str) -> Path:
    if not _is_input(path):
        raise DataError(f"{where} is no image ({', '.join(SUFFIXES)}), video or {LIST_SUFFIX} list; leave it out")
    return path


def _is_input(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or is_video(path)


def _is_file(path: str | Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - as for isdir


class _Video:
    """A video file that a user names."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._file = VideoFile(normal(path))
        self.path = path

    @property
    def count(self) -> int:
        return self._file.count

    def frames(self) -> Iterator[InputImage]:
        number = 0
        with closing(self._file.decoded()) as decoded:
            try:
                for index, frame in decoded:
                    number = index + 1
                    yield self._picture(number, partial(self._file.rgb, index, frame))
            except DataError as error:
                yield self._picture(number + 1, partial(_fail, error))

    def _picture(self, number: int, read: Callable[[], npt.NDArray[np.uint8]]) -> InputImage:
        return InputImage(
            frame_name(self.name, number - 1), self.path, number, BY_TYPE, read, lambda: f"{self._file.sha256}#{number}"
        )


def _fail(fault: DataError) -> NoReturn:
    raise fault
