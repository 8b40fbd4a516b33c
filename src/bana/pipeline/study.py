"""What a reproduction of one of the paper's tables is made of, and what it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from bana.data.records import BoxDataset
from bana.engine.distributed import RuntimeConfig
from bana.engine.run_folder import versions
from bana.errors import OutputError, SettingsError
from bana.io.strict_json import read_json_object
from bana.pipeline.context import PipelineContext
from bana.pipeline.methods import TABLE1
from bana.pipeline.object_rows import FIGURES, OBJECT_TABLES
from bana.pipeline.recipe import Recipe
from bana.pipeline.rows import ROWS, TABLES
from bana.pipeline.steps import MANIFEST, Steps, content_digest
from bana.segment.scoring import STEPS

METHOD_TABLE = "table1"
"""The table whose rows are methods of labeling, scored by mIoU on two splits."""

LABEL_TABLE = "table2"
"""The table whose rows are labels of objects; those of tables 3 to 6 are networks."""

SCORED_SPLITS = ("train", "val")
"""The splits that Table 1 scores."""


def rows_of(table: str) -> list[str]:
    """The names of a table's rows."""
    return list(TABLE1 if table == METHOD_TABLE else OBJECT_TABLES.get(table) or TABLES[table])


@dataclass(frozen=True)
class Study:
    """What a reproduction is made of.

    Attributes:
        table: ``table1`` to ``table6``.
        dataset: Images with boxes to label and to learn from, such as VOC's train_aug; with true masks for table 2.
        validation: Images with true masks to score networks on, by which nothing is chosen; None for table 2, which
            scores the labels of ``dataset``.
        recipe: Settings of all stages.
        rows: Names of the rows to make now; those made before are shown too.
        seeds: Seeds of the networks.
        masked: Images whose true masks the row ``semi`` of tables 3 to 5 may use.
        other: A labeler trained on other data, for tables 2 and 6.
    """

    table: str
    dataset: BoxDataset
    validation: BoxDataset | None
    recipe: Recipe
    rows: Sequence[str]
    seeds: Sequence[int]
    masked: Sequence[str] = ()
    other: Path | None = None

    def check_rows(self) -> None:
        """Raise SettingsError if a row is not in the table."""
        known = rows_of(self.table)
        unknown = [name for name in self.rows if name not in known]
        if unknown:
            raise SettingsError(f"rows: {unknown[0]!r} is not one of {', '.join(known)}")

    def open(
        self, out: Path, folders: Sequence[str], seed: int, runtime: RuntimeConfig, workers: int, console: Console
    ) -> PipelineContext:
        """The context of the study's folder, whose steps have these folders.

        Raises:
            OutputError: If ``out`` holds runs with another recipe or other images, or folders that no study made.
        """
        facts = {
            "settings": self.recipe.model_dump(mode="json"),
            "seed": seed,
            "versions": versions(),
            "data": content_digest(self.dataset),
        }
        # Figures of another recipe or other images would stand in one table with ours.
        before = read_json_object(out / MANIFEST) if (out / MANIFEST).exists() else facts
        changed = [name for name in ("settings", "seed", "data") if before.get(name) != facts[name]]
        if changed:
            raise OutputError(f"{out}: holds runs with other {', '.join(changed)}; choose another --out")
        return PipelineContext(
            Steps(out, facts, folders, console), self.recipe, seed, runtime, workers, "stop", console
        )


@dataclass(frozen=True)
class Reproduction:
    """The figures of a table.

    Attributes:
        table: Its name.
        ours: By row and seed (0 for labels) mIoU on ``train`` and ``val`` (table 1) or before and after the CRF
            (``plain``, ``crf``), or for tables 2 and 6 the figures of mask AP that FIGURES names.
        unavailable: Rows that were not made because something is missing, and what.
    """

    table: str
    ours: Mapping[str, Mapping[int, Mapping[str, float | None]]]
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def collected(cls, table: str, steps: Steps) -> Reproduction:
        """What all finished rows of a folder got."""
        pattern = r"found-network-(.+)-(\d+)" if table in OBJECT_TABLES else r"score (.+)-(\d+)"
        if table == LABEL_TABLE:
            pattern = r"score (.+)()"
        ours: dict[str, dict[int, dict[str, float | None]]] = {}
        for step, facts in steps.finished():
            found = re.fullmatch(pattern, step)
            if found and found[1] in rows_of(table):
                if table in OBJECT_TABLES:
                    figures = {name: facts["instances"][name] for name in FIGURES}
                else:
                    figures = {when: facts[when]["miou"] for when in STEPS}
                ours.setdefault(found[1], {})[int(found[2] or 0)] = figures
        return cls(table, ours)

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        rows: dict[str, Any] = {}
        for name, method in TABLE1.items() if self.table == METHOD_TABLE else ():
            rows[name] = {
                "title": method.title,
                "paper": dict(zip(SCORED_SPLITS, method.paper, strict=True)),
                "stand_in": method.stand_in,
                "ours": dict(self.ours.get(name, {}).get(0, {})),
            }
        for name, row in OBJECT_TABLES.get(self.table, {}).items():
            rows[name] = {
                "title": row.title.strip(),
                "paper": None if row.paper is None else dict(zip(FIGURES, row.paper, strict=True)),
                "ours": {str(seed): dict(figures) for seed, figures in self.ours.get(name, {}).items()},
            }
        for name, paper in TABLES.get(self.table, {}).items():
            seeds = self.ours.get(name, {})
            rows[name] = {
                "title": ROWS[name].title,
                "paper": dict(zip(STEPS, paper, strict=True)),
                "ours": {
                    when: {str(seed): figures[when] for seed, figures in seeds.items()} for when in STEPS if seeds
                },
            }
        return {"table": self.table, "rows": rows, "unavailable": dict(self.unavailable)}
