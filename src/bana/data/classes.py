"""Class names: from a list beside the annotations, or from the annotations themselves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bana.data.records import ClassTable
from bana.errors import DataError
from bana.io.strict_json import read_json_object, value_of

CLASS_FILE = "labels.txt"
"""The list that our writers put beside annotations, one name a line in the order of the class ids."""

_CLASS_FILES = (CLASS_FILE, "classes.txt")

BACKGROUND = "_background_"
"""The name that labelme gives the background."""

NOT_OBJECTS = {"", "background", BACKGROUND, "__background__", "__ignore__"}


def listed_classes(folder: Path) -> ClassTable | None:
    """The classes that ``labels.txt`` or ``classes.txt`` lists, the background left out; None without a list."""
    for file in (folder / name for name in _CLASS_FILES):
        if file.is_file():
            return class_table(line.strip() for line in read_lines(file))
    return None


def manifest_of(folder: Path, name: str, command: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The JSON file that names the classes in a folder that a command wrote: its content, and the L class names.

    Raises:
        DataError: If it is missing or damaged.
    """
    file = folder / name
    if not file.is_file():
        raise DataError(f"{folder}: holds no {name}; give the --out folder of {command}")
    content = read_json_object(file)
    classes = value_of(content, "classes", list, str(file))
    if not classes or not all(isinstance(each, str) for each in classes):
        raise DataError(f"{file}: 'classes' must be a list of names; run {command} again")
    return content, tuple(classes)


def class_table(names: Iterable[str]) -> ClassTable:
    """Number the names in their order, the background left out."""
    return ClassTable(tuple(dict.fromkeys(name for name in names if name not in NOT_OBJECTS)))


def class_id_of(name: str, classes: ClassTable, where: str) -> int:
    """The id 1..L of a class name.

    Raises:
        DataError: If the table does not have it.
    """
    try:
        return classes.names.index(name) + 1
    except ValueError as error:
        raise DataError(
            f"{where}: class {name!r:.200} is not in the class list; correct it or add it to the list"
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file, with or without a byte order mark.

    Raises:
        DataError: If it cannot be read or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
