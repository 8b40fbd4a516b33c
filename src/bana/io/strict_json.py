"""Reading JSON that is not trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeGuard

from bana.errors import DataError
from bana.io.remote import AnyPath

_CHUNK = 1 << 20
"""Characters of a list to read at a time."""

_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')
_ENDED = re.compile(r"[ \t\n\r]*[,\]]")


def read_json_object(
    path: AnyPath, hook: Callable[[dict[str, Any]], Any] | None = None, *, constants: bool = False
) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Args:
        path: The file.
        hook: Its result takes the place of each object in the file, inner ones first, as soon as that is read.
        constants: Whether NaN and Infinity, which are not JSON, are read as the floats that they mean. ``is_number``
            and ``value_of`` refuse them, so they do no harm in what is not read.

    Raises:
        DataError: If the file cannot be read, is not JSON, or holds something else than an object.
    """
    try:
        refuse = None if constants else _refuse_constant
        content = json.loads(_text(path), object_hook=hook, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: line {error.lineno}: is not JSON ({error.msg}); correct or restore it") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not strict JSON ({error}); correct it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not an object with keys; give another file")
    return content


def json_list_entries(path: Path) -> Iterator[Any]:
    """The entries of a JSON file that holds one list, read as they are asked for: the file is never in memory whole.

    Raises:
        DataError: If the file cannot be read, is not strict JSON up to the entry asked for, or holds no list.
    """
    try:
        with path.open("rb") as head:
            encoding = json.detect_encoding(head.read(4))
        with path.open(encoding=encoding, errors="surrogatepass") as file:
            yield from _ListText(path, file).entries()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file") from error


class _ListText:
    """The part of a list's text that is read and not parsed yet; ``path`` is for messages."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self._text, self._at, self._line = "", 0, 1
        self._decoder = json.JSONDecoder(parse_constant=_refuse_constant)

    def entries(self) -> Iterator[Any]:
        if (first := self._next()) != "[":
            what = f"begins with {first!r}" if first else "is empty"
            raise DataError(f"{self._path}: is not a JSON list (it {what}); give a file with a list")
        self._at += 1
        separator = "]" if self._next() == "]" else ","
        self._at += separator == "]"
        position = 0
        while separator == ",":
            self._next()
            yield self._value(position)
            position += 1
            separator = self._next()
            if separator not in (",", "]"):
                raise self._fault("the list does not go on", self._at)
            self._at += 1
        if self._next():
            raise self._fault("the list is followed by something", self._at)

    def _value(self, position: int) -> Any:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():  # else the chunk ended within the entry
                    raise self._fault(error.msg, error.pos) from error
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self._path}: entry {position} is not strict JSON ({error}); correct it") from error
            else:
                if _ENDED.match(self._text, end) or not self._more():  # else a number may go on in the next chunk
                    self._at = end
                    return value

    def _next(self) -> str:
        """The next character that is no space, which is not consumed; empty at the end of the file."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Let go what is parsed and read on, at least as much as is left: so a long entry takes no quadratic time.

        At the end of the file nothing changes, and it is False.
        """
        left = len(self._text) - self._at
        read = self._file.read(max(_CHUNK, left))
        if read:
            self._line += self._text.count("\n", 0, self._at)
            self._text, self._at = self._text[self._at :] + read, 0
        return bool(read)

    def _fault(self, what: str, at: int) -> DataError:
        line = self._line + self._text.count("\n", 0, at)
        return DataError(f"{self._path}: line {line}: is not JSON ({what}); correct or restore it")


def head_keys(path: Path) -> set[str]:
    """The keys of a JSON file's object that stand in its first 64 kB, which tell a format without parsing it all.

    Keys of inner objects do not count.
    """
    try:
        with path.open("rb") as file:
            head = file.read(65536).decode("utf-8-sig", "replace")
    except OSError:
        return set()
    keys: set[str] = set()
    depth, last = 0, ""
    for token in _TOKEN.findall(head):
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
        elif token == ":" and depth == 1:
            keys.add(last)
        last = token[1:-1]
    return keys


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number (true and false are not) that a float can hold."""
    # With the types in a tuple, which is several times as fast as a union.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def value_of(entry: Any, key: str, kind: type, where: str) -> Any:
    """``entry[key]``, if it has the type; booleans are not integers, integers are floats.

    Raises:
        DataError: If the key is missing or its value has another type.
    """
    if not isinstance(entry, dict):
        raise DataError(f"{where}: is a {type(entry).__name__}, not an object with keys; correct it")
    if key not in entry:
        raise DataError(f"{where}: has no {key!r}; add it")
    value = entry[key]
    good = (
        is_number(value) and (kind is float or isinstance(value, int))
        if kind in (int, float)
        else isinstance(value, kind)
    )
    if not good:
        raise DataError(f"{where}: {key!r} is a {type(value).__name__}, not {_KINDS[kind]}; correct it")
    if kind is str and not value.isascii() and not is_text(value):
        raise DataError(f"{where}: {key!r} has half a character (a lone surrogate); correct it")
    return value


def is_text(value: str) -> bool:
    """Whether text can be written as UTF-8, as a lone surrogate cannot: JSON may hold one, and so may file names."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def json_lines(entries: Iterable[dict[str, Any]]) -> str:
    """One line of strict JSON for each entry."""
    return "".join(json.dumps(entry, allow_nan=False, ensure_ascii=False) + "\n" for entry in entries)


_KINDS = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "an object"}


def _text(path: AnyPath) -> str:
    """The text of a JSON file in any of JSON's encodings.

    json.loads would decode the bytes too, but keep them beside the text until it ends.
    """
    content = path.read_bytes()
    return content.decode(json.detect_encoding(content), "surrogatepass")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed")
