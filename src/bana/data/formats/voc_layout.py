"""Where a data set in VOC's layout has its annotations, its images and its lists of images."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from bana.data.classes import read_lines
from bana.data.images import SUFFIXES
from bana.data.paths import checked_name, join_names, last_part, split_folders, split_missing, without_suffix
from bana.errors import DataError

_LIST_FOLDERS = ("Segmentation", "Main")
AUGMENTED = "train_aug"
"""The split that has no list in a stock VOCdevkit."""

AUGMENTED_MASKS = "SegmentationClassAug"
"""The folder of SBD's masks as PNGs, in many copies of VOC."""

_SBD_FOLDERS = ("SBD", "SBD/dataset", "sbd/dataset", "benchmark_RELEASE/dataset", "benchmark/dataset", "dataset")
_FLAGGED = re.compile(r"(?P<name>.*\S)\s+(?P<flag>-1|0|1)")


def splits(path: Path) -> dict[str, Path]:
    """The image lists by name; where two folders have a list of one name, Segmentation's comes before Main's.

    ``Segmentation/train`` and ``Main/train`` name one of them exactly. Without annotations in ``path`` itself the
    folders in it that have some are its splits.
    """
    if annotation_folder(home_of(path)) is None:
        return folders_of_splits(path)
    found: dict[str, Path] = {}
    for folder in _LIST_FOLDERS:
        for file in sorted((home_of(path) / "ImageSets" / folder).glob("*.txt")):
            found.setdefault(file.stem, file)
    return found


def home_of(path: Path) -> Path:
    """The folder with Annotations in it: ``path`` or, below a VOCdevkit, its only year."""
    for devkit in (path / "VOCdevkit", path):
        years = sorted(folder for folder in devkit.glob("VOC20*") if (folder / "Annotations").is_dir())
        if len(years) == 1:
            return years[0]
        if years:
            raise DataError(
                f"{devkit}: holds {join_names(year.name for year in years)}; give the folder of one of them"
            )
    return path


def annotation_folder(home: Path) -> Path | None:
    """The folder with the XML files, of several names; None if there is none."""
    for folder in (home / "Annotations", home / "annotations", home / "labels", home):
        if next(folder.glob("*.xml"), None) or (folder.name == "Annotations" and folder.is_dir()):
            return folder
    return None


def folders_of_splits(path: Path) -> dict[str, Path]:
    """The folders in a folder that hold annotations, by their names: train, valid and test of many exports."""
    found = ((each.name, annotation_folder(each)) for each in split_folders(path))
    return {name: folder for name, folder in found if folder is not None}


def image_folders(home: Path, annotation_folder: Path) -> list[Path]:
    """Where the images may be, VOC's own place first."""
    return [home / "JPEGImages", home / "images", home / "data", annotation_folder, home]


def chosen_images(path: Path, folder: Path, split: str | None) -> tuple[list[str], str | None]:
    """The ids of a split's images and its name; those of all annotations, and None, where there is no split.

    Raises:
        DataError: If there is no such split, or its list cannot be used.
    """
    lists = splits(path)
    there = [id_of_file(file, folder) for file in sorted(folder.rglob("*.xml"))]
    if split is None and len(lists) == 1:
        (split,) = lists
    if split is None:
        return there, None
    if split == AUGMENTED and split not in lists and (augmented := augmented_images(home_of(path))):
        known = set(there)
        return [name for name in augmented if name in known], split
    require_split(path, split)
    return parse_list(lists.get(split, _exact_list(path, split)), set(there)), split


def require_split(path: Path, split: str) -> None:
    """Raise DataError if there is no such split."""
    lists = splits(path)
    if split in lists or (split == AUGMENTED and augmented_images(home_of(path))):
        return
    if not (split.startswith(_LIST_FOLDERS) and _exact_list(path, split).is_file()):
        raise split_missing(path, split, lists)


def _exact_list(path: Path, split: str) -> Path:
    """The list that ``Segmentation/train`` or ``Main/train`` names."""
    return home_of(path) / "ImageSets" / f"{split}.txt"


def augmented_images(home: Path) -> list[str]:
    """The ids of ``train_aug``, where no list names them: the images of SBD and of VOC's ``train``, without ``val``.

    SBD's images are those of the PNGs in ``SegmentationClassAug``, or of the .mat files of its ``dataset/cls``, which
    lies in VOC's folder, beside it, or beside the devkit. Empty where there is neither.
    """
    found = {file.stem for file in (home / AUGMENTED_MASKS).glob("*.png")}
    for base in (home, home.parent, home.parent.parent):
        for place in _SBD_FOLDERS if not found else ():
            found |= {file.stem for file in (base / place / "cls").glob("*.mat")}
    lists = home / "ImageSets" / "Segmentation"
    train, val = (
        set(parse_list(file)) if (file := lists / f"{name}.txt").is_file() else set() for name in ("train", "val")
    )
    return sorted((found | train) - val) if found else []


def parse_list(path: Path, known: Collection[str] = ()) -> list[str]:
    """The image names of a list file; of a class's list (name and -1, 0 or 1) the images with -1 are left out.

    A line is a name, which may hold spaces, or paths of an image and its mask, as in DeepLab's lists: what is known
    decides.

    Args:
        path: The list.
        known: The images that have an annotation.
    """
    image_ids = []
    for number, line in enumerate(read_lines(path), start=1):
        text = unicodedata.normalize("NFC", line.strip())
        named = _FLAGGED.fullmatch(text)
        if not text or (text not in known and named and named["flag"] == "-1"):
            continue
        plain = named["name"] if named else text
        first = text.split()[0]
        names = [text, plain]
        if first.lower().endswith(SUFFIXES):  # the path of an image, as in DeepLab's lists
            names += [without_suffix(plain), without_suffix(last_part(first))]
        found = next((name for name in names if name in known), None)
        image_ids.append(found or checked_name(plain, f"{path}: line {number}"))
    return list(dict.fromkeys(image_ids))


def id_of_file(file: Path, folder: Path) -> str:
    """The id of the image that an XML file is of."""
    return unicodedata.normalize("NFC", file.relative_to(folder).with_suffix("").as_posix())
