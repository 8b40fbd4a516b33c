"""The files made of one image, and whether they are there, intact and up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Set
from typing import Any

from bana.io.files import write_bytes
from bana.io.remote import AnyPath


def write_outputs(
    out: AnyPath, entry_path: str, contents: Mapping[str, bytes], digest: str, facts: Mapping[str, Any]
) -> None:
    """Write an image's files, and last the entry that says that all are there.

    Args:
        out: The folder of all.
        entry_path: Of the entry, a JSON file, in ``out``.
        contents: The other files by their path in ``out``.
        digest: Of all that they depend on.
        facts: What else the entry says.

    Raises:
        OutputError: If a file cannot be written.
    """
    for name, content in contents.items():
        write_bytes(out / name, content)
    entry = {**facts, "input": digest, "files": {name: _sha256(content) for name, content in contents.items()}}
    entry["entry"] = _entry_digest(entry)
    write_bytes(out / entry_path, json.dumps(entry, allow_nan=False).encode())


def are_written(out: AnyPath, entry_path: str, digest: str, wanted: Set[str]) -> bool:
    """Whether an image's files, the wanted ones among them, are there as they were written, made from this input."""
    return intact(out, entry_path, lambda entry: entry["input"] == digest and wanted <= entry["files"].keys())


def intact(out: AnyPath, entry_path: str, also: Callable[[dict[str, Any]], bool] = lambda _: True) -> bool:
    """Whether an image's files are there as they were written.

    Args:
        out: The folder of all.
        entry_path: Of the entry, in ``out``.
        also: What else the entry must be; asked before the other files are read.
    """
    try:
        entry = json.loads((out / entry_path).read_bytes())
        return bool(
            entry.pop("entry") == _entry_digest(entry)
            and also(entry)
            and all(_sha256((out / name).read_bytes()) == value for name, value in entry["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _entry_digest(entry: dict[str, Any]) -> str:
    return _sha256(json.dumps(entry, sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
