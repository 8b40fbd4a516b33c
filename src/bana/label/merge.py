"""Merge the label folders of shards into one."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.label_folder import INSTANCES, MANIFEST
from bana.engine.progress import SILENT, StepProgress
from bana.errors import DataError
from bana.io.faults import REJECTED
from bana.io.files import write_bytes, write_text
from bana.io.locking import exclusive
from bana.io.shards import FOLDER
from bana.io.strict_json import read_json_object, value_of
from bana.label.output import write_manifest


@exclusive
def merge_labels(folders: Sequence[Path], out: Path, *, console: Console = SILENT) -> int:
    """Merge the labels of shards into one folder. Repeated, or continued after a kill, it gives the same folder.

    Files are linked where the file system can, and copied elsewhere. An image's entry comes last, as in labeling.

    Args:
        folders: Label folders of shards, or folders that hold them under their names (``3-of-8``).
        out: Gets all labels; it may hold some already.
        console: Where progress is shown.

    Returns:
        The number of images of these shards in ``out``.

    Raises:
        DataError: If a folder is no label folder, a shard is missing, labels are of different methods, settings or
            classes, or two folders have different labels of one image.
        OutputError: If ``out`` cannot be written.
    """
    shards = [shard for folder in folders for shard in _shards(folder)]
    write_manifest(out, _common_manifest(shards), has_moved=lambda: True)
    entries = [entry for shard in shards for entry in sorted((shard / INSTANCES).glob("*.json"))]
    with closing(StepProgress("merging", len(entries), console)) as progress:
        for number, entry in enumerate(entries):
            shard = entry.parent.parent
            files = value_of(read_json_object(entry), "files", dict, str(entry))
            for name in (*files, f"{INSTANCES}/{entry.name}"):
                _link_or_copy(shard / name, out / name)
            progress.update(number, 1, {})
    lines = {line for shard in shards for line in _lines(shard / REJECTED)}
    write_text(out / REJECTED, "".join(f"{line}\n" for line in sorted(lines)))
    return len({entry.name for entry in entries})


def _shards(folder: Path) -> list[Path]:
    """The folder itself if it holds labels, otherwise all shards in it."""
    if (folder / MANIFEST).is_file():
        return [folder]
    found = {(int(match[1]), int(match[2])) for path in folder.glob("*-of-*") if (match := FOLDER.fullmatch(path.name))}
    if not found:
        raise DataError(f"{folder}: holds no labels and no shards of any; give the --out folders of bana label --shard")
    counts = {count for _, count in found}
    if len(counts) > 1:
        kinds = " and of ".join(map(str, sorted(counts)))
        raise DataError(f"{folder}: holds shards of {kinds}; name those that belong together")
    (count,) = counts
    for number in range(1, count + 1):
        if not (folder / f"{number}-of-{count}" / MANIFEST).is_file():
            remedy = f"run bana label --shard {number}/{count}"
            raise DataError(f"{folder}: shard {number} of {count} is not there; {remedy}")
    return [folder / f"{number}-of-{count}" for number in range(1, count + 1)]


def _common_manifest(shards: Sequence[Path]) -> dict[str, Any]:
    manifests = [(folder, read_json_object(folder / MANIFEST)) for folder in shards]
    first, manifest = manifests[0]
    for folder, other in manifests[1:]:
        if other | {"data": None} != manifest | {"data": None}:  # each machine may have the data set elsewhere
            raise DataError(f"{folder}: its labels are of another method, settings or classes than those of {first}")
    formats = {str(data.get("format")) for _, each in manifests if isinstance(data := each.get("data"), dict)}
    if len(formats) > 1:
        raise DataError(f"{first}: the shards label data sets in {' and '.join(sorted(formats))}; merge each apart")
    return manifest


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        if target.exists():
            if filecmp.cmp(source, target, shallow=False):
                return
            raise DataError(f"{source}: differs from {target}; labels of one image must not be of two runs")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    except FileNotFoundError as error:
        raise DataError(f"{source}: is missing; run bana label on its shard again") from error
    except OSError:  # another file system, or one without links
        write_bytes(target, source.read_bytes())


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
