"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from bana.errors import DataError, OutputError
from bana.io.locking import WINDOWS
from bana.io.remote import AnyPath, RemotePath


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; on success it is flushed to disk and renamed to ``path``.

    What a killed process has left of an earlier attempt is taken over, so that nothing is left after a later one.

    Args:
        path: Where the file shall be. Its folder is created.

    Yields:
        A binary file to write to.

    Raises:
        OutputError: If the folder or file cannot be written (permissions, disk full). Nothing is left behind.
    """
    temporary: str | None = None
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = _temporary(path, held)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
            temporary = None
            _sync_folder(path.parent)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"{path}: cannot be written ({reason}); free space or choose another --out") from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let a rename outlast a loss of power, where the file system can."""
    if WINDOWS:  # which opens no folder
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _temporary(path: Path, held: ExitStack) -> tuple[int, str]:
    """A hidden, empty file beside ``path``, for this writer alone until ``held`` is left: its descriptor and name."""
    usual = path.with_name(f".{path.name}.part")
    try:
        if not WINDOWS:  # which renames no file that is open, as a locked one is
            descriptor = os.open(usual, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            held.callback(os.close, descriptor)
            locked = lock_descriptor(descriptor, blocking=False)
            # The writer before may have renamed it since it was opened here.
            if locked and os.path.samestat(os.fstat(descriptor), usual.stat()):
                os.truncate(descriptor, 0)
                return os.dup(descriptor), str(usual)
    except OSError:  # a link, or a file system without locks
        with suppress(OSError):
            usual.unlink()
    return tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically. Raises OutputError as atomic_file does."""
    if isinstance(path, RemotePath):
        try:
            path.write_bytes(content)
        except OSError as error:
            remedy = "check the address and your permission, or choose another --out"
            raise OutputError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error
        return
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: AnyPath, content: str) -> None:
    """Write ``content`` to ``path`` as UTF-8, atomically. Raises OutputError as atomic_file does."""
    # A file name that is not UTF-8 has lone surrogates: escaped they are what JSON writes for them.
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def write_lines(path: AnyPath, lines: Iterable[str]) -> None:
    """Write each text as a line. Raises OutputError as atomic_file does."""
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_json(path: AnyPath, content: Any, *, indent: int | None = None) -> None:
    """Write ``content`` to ``path`` as strict JSON (no NaN), atomically. Raises OutputError as atomic_file does."""
    write_text(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); restore the file") from error


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
