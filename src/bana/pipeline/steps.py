"""Steps of a run folder: done once, skipped while what they depend on is the same, done anew when it is not."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.files import write_json
from bana.data.records import BoxDataset
from bana.data.sources import file_digest
from bana.data.strict_json import read_json_object

MANIFEST = "run.json"
TIMINGS = "timings.json"


class Steps:
    """The steps of a run folder, which its ``run.json`` and ``timings.json`` tell of.

    A step's key is a digest of all that its outputs depend on. A step whose key is that of the manifest is skipped; one
    that was begun with the same key, and killed, goes on in its folder; of any other the folder is emptied first.

    Args:
        out: The run folder.
        facts: What ``run.json`` says of the whole run: settings, versions, seed, data.
        console: For a line a step.

    Raises:
        DataError: If the folder's manifest is damaged.
        OutputError: If the folder cannot be written.
    """

    def __init__(self, out: Path, facts: dict[str, Any], console: Console) -> None:
        self.out = out
        self._console = console
        self._manifest = read_json_object(out / MANIFEST) if (out / MANIFEST).exists() else {}
        self._timings = read_json_object(out / TIMINGS) if (out / TIMINGS).exists() else {}
        self._manifest |= facts
        self._states: dict[str, dict[str, Any]] = self._manifest.setdefault("steps", {})
        self.skipped: set[str] = set()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each finished step took, in the session that finished it."""
        return dict(self._timings)

    def do(
        self, name: str, depends: Any, work: Callable[[Path], dict[str, Any] | None], is_there: Callable[[Path], bool]
    ) -> dict[str, Any]:
        """Do a step, unless it is done.

        Args:
            name: Of the step and of its folder.
            depends: All that its outputs depend on, as plain values.
            work: Does it in the folder that it is given, going on where an earlier call was killed; returns facts to
                keep, as plain values.
            is_there: Whether the folder holds the outputs; a step whose outputs were taken away is done again.

        Returns:
            What ``work`` returned, now or when it was done.
        """
        key = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
        folder, state = self.out / name, self._states.get(name, {})
        if state.get("key") == key and state.get("done") and is_there(folder):
            self._console.print(f"{name}: unchanged", highlight=False)
            self.skipped.add(name)
            return dict(state["facts"])
        if state.get("key") != key and folder.exists():
            shutil.rmtree(folder)
        self._states[name] = {"key": key, "done": False}
        self._save()
        self._console.print(f"{name}: begun", highlight=False)
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


def content_digest(dataset: BoxDataset) -> str:
    """A hex digest of a data set with the content of its image files and label maps."""
    digest = hashlib.sha256(dataset.fingerprint().encode())
    for record in dataset:
        for path in (record.path, record.semantic_path, record.instance_path):
            if path is not None:
                digest.update(file_digest(path).encode())
    return digest.hexdigest()
