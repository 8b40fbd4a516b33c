"""Steps of a run folder: done once, skipped while nothing they depend on changes, done again when it does."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.console import Console

from bana._version import __version__
from bana.data.records import BoxDataset
from bana.data.videos import is_video, video_digest
from bana.errors import DataError, OutputError
from bana.io.files import file_digest, write_json
from bana.io.strict_json import read_json_object, value_of

MANIFEST = "run.json"
TIMINGS = "timings.json"


class Steps:
    """The steps of a run folder, recorded in its ``run.json`` and ``timings.json``.

    A step's key is a digest of all that its outputs depend on. A step whose key is that of the manifest is skipped; one
    that was begun with the same key, and killed, goes on in its folder; of any other the folder is emptied first.

    Args:
        out: The run folder.
        facts: What ``run.json`` says of the whole run: settings, versions, seed, data.
        folders: Names of the steps' folders.
        console: Gets one line for each step.

    Attributes:
        out: The run folder.
        console: The console.

    Raises:
        DataError: If the folder's manifest is damaged.
        OutputError: If one of the folders is there and this run has not made it.
    """

    def __init__(self, out: Path, facts: dict[str, Any], folders: Sequence[str], console: Console) -> None:
        self.out = out
        self.console = console
        self._manifest, self._states = read_manifest(out / MANIFEST)
        self._timings = read_json_object(out / TIMINGS) if (out / TIMINGS).exists() else {}
        for name in ("metrics", "labeler"):  # they are of the settings before
            self._manifest.pop(name, None)
        self._manifest |= facts
        self._visited: list[str] = []
        self.skipped: set[str] = set()
        for name in folders:
            if name not in self._states and (out / name).exists():
                raise OutputError(f"{out / name}: was not made by this run; choose another --out")

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each step of this call took, in the session that finished it."""
        return {name: self._timings[name] for name in self._visited if name in self._timings}

    def do(
        self,
        name: str,
        depends: Any,
        work: Callable[[Path], dict[str, Any] | None],
        is_there: Callable[[Path], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """Do a step, unless it is done.

        Args:
            name: The step and its folder.
            depends: All that its outputs depend on, as plain values.
            work: Does it in the folder that it is given, going on where an earlier call was killed; returns facts to
                keep, as plain values.
            is_there: Whether the folder holds the outputs; a step whose outputs were taken away is done again.

        Returns:
            What ``work`` returned, now or when it was done.
        """
        key = hashlib.sha256(json.dumps([__version__, depends], sort_keys=True).encode()).hexdigest()
        self._visited.append(name)
        folder, state = self.out / name, self._states.get(name, {})
        if state.get("key") == key and state.get("done") and is_there(folder):
            self.console.print(f"{name}: unchanged", highlight=False)
            self.skipped.add(name)
            return dict(state["facts"])
        if state and state.get("key") != key and folder.exists():
            self._states[name] = {"done": False}  # a kill must not leave half a folder under the old key
            self._save()
            shutil.rmtree(folder)
        self._states[name] = {"key": key, "done": False}
        self._save()
        self.console.print(f"{name}: begun", highlight=False)
        began = time.monotonic()
        facts = work(folder) or {}
        self._timings[name] = round(time.monotonic() - began, 3)
        self._states[name] = {"key": key, "done": True, "facts": facts}
        write_json(self.out / TIMINGS, self._timings, indent=2)
        self._save()
        return facts

    def finished(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The names and facts of all steps that are done."""
        for name, state in self._states.items():
            if state.get("done"):
                yield name, state["facts"]

    def note(self, **facts: Any) -> None:
        """Add to what ``run.json`` says of the whole run."""
        self._manifest |= facts
        self._save()

    def _save(self) -> None:
        write_json(self.out / MANIFEST, self._manifest, indent=2)


@lru_cache(maxsize=4)
def content_digest(dataset: BoxDataset) -> str:
    """A hex digest of a data set with its masks and the content of its image files and label maps.

    What cannot be read is digested as such; the step that needs it says so.
    """
    digest = hashlib.sha256(dataset.fingerprint().encode())
    for record in dataset:
        digest.update(json.dumps(record.segmentations).encode())
        for path in (record.path, record.semantic_path, record.instance_path):
            try:
                digest.update(b"-" if path is None else _digest_of(path).encode())
            except DataError:
                digest.update(b"unreadable")
    return digest.hexdigest()


def _digest_of(path: Path) -> str:
    return video_digest(path) if is_video(path) else file_digest(path)  # a video is read once for all its frames


def read_manifest(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A manifest, and in it the states of steps, by name; both empty where there is none."""
    manifest = read_json_object(path) if path.exists() else {}
    states = value_of({"steps": {}, **manifest}, "steps", dict, str(path))
    for name, state in states.items():
        if not isinstance(state, dict) or (state.get("done") and not isinstance(state.get("facts"), dict)):
            raise DataError(f"{path}: step {name!r} is damaged; remove the file, or choose another --out")
    manifest["steps"] = states
    return manifest, states
