"""Reading a data set at an address: its annotations are copied, its images fetched one by one where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from PIL import UnidentifiedImageError

from bana.data.images import SUFFIXES
from bana.data.paths import checked_name, home_of_file
from bana.data.reading import format_of, read_dataset, read_with, require_boxes, tell_notes
from bana.data.records import BoxDataset, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog, OnError
from bana.io.remote import AnyPath, RemotePath

Images = Callable[[ImageRecord], AbstractContextManager[ImageRecord]]
"""Gives, for the length of a block, a record whose image is a file of this machine: ``nullcontext`` where all are."""

_ANNOTATIONS = (".xml", ".json", ".txt", ".yaml", ".yml", ".ini")


@dataclass(frozen=True)
class RemoteImages:
    """Where the images of records are that were read from a copy of the annotations.

    Called with a record it gives, for the length of a block, one whose image is at hand. It can be sent to other
    machines: the copy is not needed any more.

    Attributes:
        folder: The data set's.
        copy: What stood for it when the annotations were read.
    """

    folder: RemotePath
    copy: Path

    @contextmanager
    def __call__(self, record: ImageRecord) -> Iterator[ImageRecord]:
        """Fetch the record's image for the length of the block.

        Raises:
            DataError: If it is not there; and what the block raises, with the address in the place of the local path.
        """
        there = self.folder / record.path.relative_to(self.copy).as_posix()
        with TemporaryDirectory(prefix="bana-") as folder:
            here = Path(folder) / record.path.name
            try:
                here.write_bytes(there.read_bytes())
            except OSError as error:
                raise DataError(f"{there}: image cannot be read ({error.strerror}); restore the file") from error
            try:
                yield replace(record, path=here)
            except DataError as error:
                raise DataError(str(error).replace(str(here), str(there))) from error

    def at_address(self, error: DataError) -> DataError:
        """A fault of the copy, as one of the data set."""
        text = str(error).replace(str(self.copy), str(self.folder))
        if isinstance(error.__cause__, UnidentifiedImageError):  # images are empty files there
            image = text.partition(": not a readable image")[0]
            text = f"{image}: its annotation does not say how large it is; add width and height, or use a local folder"
        return DataError(text)


def data_facts(dataset: BoxDataset, images: Images = nullcontext) -> dict[str, str]:
    """What tells a data set from others: ``root``, the address or absolute path of its folder, and its ``format``.

    They are the same for all splits of a data set, even where each is read from a file of its own.
    """
    if isinstance(images, RemoteImages):
        return {"root": str(images.folder), "format": dataset.format}
    root = dataset.root.resolve()
    return {"root": str(home_of_file(root) if root.is_file() else root), "format": dataset.format}


def read_anywhere(
    data: AnyPath,
    split: str | None = None,
    format: str | None = None,
    on_error: OnError = "stop",
    *,
    strict: bool = False,
    follow_links: bool = False,
) -> tuple[BoxDataset, Images]:
    """Read a data set of this machine with ``read_dataset``, one at an address, without links, with ``read_remote``."""
    if isinstance(data, RemotePath):
        return read_remote(data, split, format, on_error, strict=strict)
    return read_dataset(data, split, format, on_error, strict=strict, follow_links=follow_links), nullcontext


def read_remote(
    data: RemotePath,
    split: str | None = None,
    format: str | None = None,
    on_error: OnError = "stop",
    *,
    strict: bool = False,
) -> tuple[BoxDataset, RemoteImages]:
    """Read a data set at an address as ``read_dataset`` does, without its images.

    Annotation files are copied into a temporary folder, in which an empty file stands for each image; what the
    annotations do not say of an image is not known then. YOLO's never say how large one is.

    Args:
        data: A folder, or a COCO JSON file.
        split: As for ``read_dataset``.
        format: ``voc``, ``coco`` or ``labelme``; found from what is there if left out.
        on_error: As for ``read_dataset``.
        strict: As for ``read_dataset``.

    Returns:
        The data set, whose records have paths of files that are gone, and where these are.

    Raises:
        DataError: If the data set cannot be read from there, or as ``read_dataset``.
        SettingsError: As ``read_dataset``; and if the address is of no known kind or needs a package.
    """
    try:
        home, names = _files(data)
        with TemporaryDirectory(prefix="bana-") as folder:
            images = RemoteImages(home, Path(folder))
            faults = _Faults(on_error, images, strict=strict)
            _copy(home, names, images.copy)
            place = images.copy / data.url.removeprefix(home.url).lstrip("/")
            return _read(images, place, split, format, faults), images
    except OSError as error:
        raise DataError(f"{data}: cannot be read ({error.strerror}); check the address and your permission") from error


def _files(data: RemotePath) -> tuple[RemotePath, list[str]]:
    """The folder of a data set, and its files: for a JSON file, the folder in which the images of it are looked for."""
    names = data.files()
    if names == [""]:
        home = home_of_file(data)
        return home, home.files()
    if not names:
        raise DataError(f"{data}: holds no files; check the address")
    return data, names


def _copy(home: RemotePath, names: Sequence[str], folder: Path) -> None:
    suffixes = {name: PurePosixPath(name).suffix.lower() for name in names}
    for name, suffix in suffixes.items():
        checked_name(name, str(home))  # a key of an object store may be any text
        if suffix in SUFFIXES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    home.fetch([name for name, suffix in suffixes.items() if suffix in _ANNOTATIONS], folder)


def _read(images: RemoteImages, copy: Path, split: str | None, format: str | None, faults: _Faults) -> BoxDataset:
    try:
        name = format_of(copy, format)
        if name in ("yolo", "dota"):
            remedy = "use a local folder, or make them COCO's there with bana convert"
            raise DataError(f"{images.copy}: {name.upper()}'s annotations do not say how large an image is; {remedy}")
        dataset = require_boxes(read_with(faults, copy, split, name))
        tell_notes(dataset)
        return dataset
    except DataError as error:
        raise images.at_address(error) from error


class _Faults(FaultLog):
    """Faults that name the data set and not its copy."""

    def __init__(self, on_error: OnError, images: RemoteImages, *, strict: bool) -> None:
        super().__init__(on_error, strict=strict)
        self._images = images

    def note(self, image_id: str, error: DataError) -> bool:
        return super().note(image_id, self._images.at_address(error))

    def leave_out(self, image_id: str, error: DataError) -> bool:
        return super().leave_out(image_id, self._images.at_address(error))

    def repaired(self, image_id: str, reason: str) -> None:
        super().repaired(image_id, str(self._images.at_address(DataError(reason))))
