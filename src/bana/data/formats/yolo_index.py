"""Where a YOLO data set says its classes and splits: in a data.yaml, Darknet's obj.data, or a list of classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bana.data.classes import read_lines
from bana.data.images import SUFFIXES
from bana.data.paths import checked_name, normal, split_folders
from bana.data.pixel_values import DATA_FILE
from bana.errors import DataError
from bana.io.strict_json import is_text
from bana.io.strict_yaml import parse_yaml

_YAML_SUFFIXES = {".yaml", ".yml"}
_SPLITS = {"train", "val", "valid", "test"}
LISTS = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt", "predefined_classes.txt")
"""Files of a class a line: labelImg's, Label Studio's, Darknet's and Roboflow's."""

_NOT_SPLITS = {"path", "names", "download", "yaml_file"}
_NOT_DARKNET_SPLITS = {"classes", "names", "backup", "eval", "results"}


@dataclass(frozen=True)
class YoloIndex:
    """What the file says.

    Attributes:
        file: The file itself, for messages.
        root: The folder that sources are relative to.
        names: The class names by number.
        splits: The sources of each split: folders, lists of images, or images. The name of the only one may be "".
        keypoints: Numbers of keypoints after each box; 0 where the labels are no poses.
    """

    file: Path
    root: Path
    names: dict[int, str]
    splits: dict[str, list[str]]
    keypoints: int = 0


def find_index(path: Path) -> Path | None:
    """The index that ``path`` is, or that is in the folder ``path``; None where there is none.

    It is a data.yaml or the only YAML file, else Darknet's obj.data, else a list of classes: beside folders images and
    labels, beside images with their text files, or in the folders of splits.
    """
    if path.is_file():
        return path if path.suffix.lower() in {*_YAML_SUFFIXES, ".data"} else None
    own = [path / name for name in ("data.yaml", "data.yml", "dataset.yaml") if (path / name).is_file()]
    others = [file for suffix in _YAML_SUFFIXES for file in path.glob(f"*{suffix}") if file.name != DATA_FILE]
    if own or others:
        return own[0] if own else others[0] if len(others) == 1 else None
    if (path / "obj.data").is_file():
        return path / "obj.data"
    lists = [path / name for name in LISTS if (path / name).is_file()]
    if lists and (has_labels(path) or labeled_splits(path)):
        return lists[0]
    in_splits = [folder / name for folder in labeled_splits(path) for name in LISTS if (folder / name).is_file()]
    return in_splits[0] if in_splits else None


def labeled_splits(path: Path) -> list[Path]:
    """The folders of splits that hold images with text files."""
    return [folder for folder in split_folders(path) if has_labels(folder)]


def has_labels(folder: Path) -> bool:
    """Whether a folder holds an image with a text file beside it, or has folders ``images`` and ``labels``."""
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        return True
    texts = {each.stem for each in folder.glob("*.txt") if each.name not in LISTS}
    return bool(texts) and any(each.stem in texts and each.suffix.lower() in SUFFIXES for each in folder.iterdir())


def read_index(path: Path) -> YoloIndex:
    """Read the index of a folder, or an index itself.

    Raises:
        DataError: If there is none, it cannot be read, or has no classes or no split.
    """
    file = find_index(path)
    if file is None:
        raise DataError(
            f"{path}: has no data.yaml, obj.data, or {LISTS[0]} with images and text files; add a data.yaml with names "
            "and splits"
        )
    if file.suffix.lower() in _YAML_SUFFIXES:
        return _from_yaml(file)
    if file.suffix.lower() == ".data":
        return _from_darknet(file)
    return _from_classes(file, path if path.is_dir() else path.parent)


def distinct_splits(index: YoloIndex) -> dict[str, list[str]]:
    """The splits without those that hold the same as an earlier one: programs want a val even where all is train."""
    first: dict[tuple[str, ...], str] = {}
    for name, sources in index.splits.items():
        first.setdefault(tuple(sources), name)
    return {name: list(sources) for sources, name in first.items()}


def _from_yaml(file: Path) -> YoloIndex:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); restore the file") from error
    content = parse_yaml(text, str(file))
    if not isinstance(content, dict):
        raise DataError(f"{file}: has no keys; give names and splits")
    root = _root(content, file)
    splits, keypoints = _parse_splits(content, root, file), _parse_keypoints(content, file)
    return YoloIndex(file, root, _parse_names(content, file), splits, keypoints)


def _parse_keypoints(content: dict[str, Any], file: Path) -> int:
    """How many numbers of keypoints follow each box: ``kpt_shape`` is their count, and 2 or 3 numbers of each."""
    shape = content.get("kpt_shape", [0, 2])
    if not isinstance(shape, list) or list(map(type, shape)) != [int, int] or shape[0] < 0 or shape[1] not in (2, 3):
        raise DataError(f"{file}: kpt_shape is {shape!r:.40}; give the count of keypoints and 2 or 3, such as [17, 3]")
    count, numbers = shape
    return int(count * numbers)


def local_path(root: Path, name: str) -> Path:
    """A path that an index or list names, below the root; ``data/`` is dropped where there is no such folder.

    Darknet is run beside a folder ``data``, so that CVAT writes this before every path, and exports no such folder.
    """
    return root / (name if (root / "data").is_dir() else name.removeprefix("data/"))


def _from_darknet(file: Path) -> YoloIndex:
    """``key = value`` lines: names is a file with a class a line, every split a list of images."""
    content = {}
    for number, line in enumerate(read_lines(file), start=1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if key.startswith(("#", ";")):
            continue
        if key and not equals:
            raise DataError(f"{file}: line {number}: is not 'key = value'; correct it")
        content[key] = value
    if not content.get("names"):
        raise DataError(f"{file}: names no classes; add a line such as 'names = obj.names'")
    root = normal(file.parent)
    names = local_path(root, checked_name(content["names"], f"{file}: names"))
    splits = {key: [value] for key, value in content.items() if key not in _NOT_DARKNET_SPLITS and value}
    return YoloIndex(file, root, _listed_names(names), _some_split(splits, "train = train.txt", file))


def _from_classes(file: Path, home: Path) -> YoloIndex:
    """A class a line, beside folders images and labels, beside the images, or in or beside the folders of splits.

    Args:
        file: The list of classes.
        home: The folder of the data set.
    """
    if (home / "images").is_dir() and (home / "labels").is_dir():
        named = [each.name for each in sorted((home / "labels").iterdir()) if (home / "images" / each.name).is_dir()]
        loose = any(each.suffix.lower() in SUFFIXES for each in (home / "images").iterdir())
        splits = {"": ["images"]} if loose or len(named) < 2 else {name: [f"images/{name}"] for name in named}
        return YoloIndex(file, normal(home), _listed_names(file), splits)
    if folders := labeled_splits(home):
        return YoloIndex(file, normal(home), _listed_names(file), {each.name: [_images_of(each)] for each in folders})
    return YoloIndex(file, normal(home), _listed_names(file), {"": ["."]})


def _images_of(folder: Path) -> str:
    return f"{folder.name}/images" if (folder / "images").is_dir() else folder.name


def _listed_names(file: Path) -> dict[int, str]:
    names = {number: line.strip() for number, line in enumerate(read_lines(file)) if line.strip()}
    if not names:
        raise DataError(f"{file}: lists no class; give one a line")
    return names


def _parse_names(content: dict[str, Any], file: Path) -> dict[int, str]:
    """The class names by number, from a list or a mapping."""
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(f"{file}: names must be a list of class names or a mapping from numbers to them; add it")
    for number, name in names.items():
        if not isinstance(number, int) or number < 0 or not isinstance(name, str | int | float):
            raise DataError(f"{file}: names must map whole numbers to class names; correct it")
        if not is_text(str(name)):
            raise DataError(f"{file}: names has {name!r:.80}, which is no text (a lone surrogate); correct it")
    count = content.get("nc", len(names))
    if count != len(names):
        raise DataError(f"{file}: nc is not the number of names, {len(names)}; correct one of them")
    return {number: str(name) for number, name in names.items()}


def _parse_splits(content: dict[str, Any], root: Path, file: Path) -> dict[str, list[str]]:
    """The sources of each split: those with the usual names, and every key whose texts name what is there.

    Other texts, such as a license, are none.
    """
    found: dict[str, list[str]] = {}
    for key, value in content.items():
        sources = [value] if isinstance(value, str) else value
        if key in _NOT_SPLITS or not isinstance(sources, list) or not all(isinstance(each, str) for each in sources):
            continue
        sources = [entry for entry in sources if entry]
        if key in _SPLITS or any(os.path.exists(root / entry) for entry in sources):  # noqa: PTH110 - as in _root
            found[str(key)] = sources
    return _some_split({name: sources for name, sources in found.items() if sources}, "train: images/train", file)


def _some_split(splits: dict[str, list[str]], example: str, file: Path) -> dict[str, list[str]]:
    if not splits:
        raise DataError(f"{file}: names no split; add one such as '{example}'")
    return splits


def _root(content: dict[str, Any], file: Path) -> Path:
    """The folder that splits are relative to: ``path`` if that is there, else the YAML file's own."""
    stated = content.get("path")
    folder = file.parent / stated if isinstance(stated, str) else file.parent
    return normal(folder if os.path.isdir(folder) else file.parent)  # noqa: PTH112 - a Path's own refuses some names
