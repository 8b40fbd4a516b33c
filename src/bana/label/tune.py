"""Choose the label settings on images with true masks, as the paper does, and measure the gain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.records import BoxDataset, ImageRecord
from bana.data.truth import required_truth
from bana.engine.progress import SILENT, JsonLog, StepProgress
from bana.engine.seeds import shuffled
from bana.errors import DataError, OutputError, SettingsError
from bana.io.files import write_json
from bana.io.locking import exclusive
from bana.io.strict_json import read_json_object
from bana.label.methods.choose import MethodChoice
from bana.label.output import input_digest
from bana.label.scoring import Bench
from bana.label.search import Search, SearchMethod, Trial, Values, best_trial
from bana.label.settings import LabelSettings
from bana.nn.network_file import copy_network

RESULT = "tune.json"
"""States from the start what is searched and on which images, and at the end what was found."""

TRIALS = "trials.jsonl"
"""One JSON object per finished trial: its number as ``step``, the values tried as ``settings``, and ``miou``."""

_MIN_IMAGES = 2


@dataclass(frozen=True)
class Outcome:
    """Settings and how well they label.

    Attributes:
        settings: All settings.
        values: The values of the searched ones.
        searched: mIoU of Y_crf, 0..100, over the images searched on.
        unseen: The same over images that the search did not see; None if there are none.
    """

    settings: LabelSettings
    values: Values
    searched: float
    unseen: float | None


@dataclass(frozen=True)
class TuneRun:
    """The result of a search.

    Attributes:
        search: The search.
        facts: Everything that it depends on, as plain values: labeler, images, method, seed and ranges.
        trials: Number of finished trials.
        before: The labeler's own settings.
        after: The best settings.
    """

    search: Search
    facts: dict[str, Any]
    trials: int
    before: Outcome
    after: Outcome

    def as_dict(self) -> dict[str, Any]:
        """The run for JSON."""
        outcomes = {"before": self.before, "after": self.after}
        return {
            **self.facts,
            "trials": self.trials,
            **{
                name: vars(each) | {"settings": each.settings.model_dump(mode="json")}
                for name, each in outcomes.items()
            },
        }


@exclusive
def tune_labeler(
    dataset: BoxDataset,
    labeler: Path,
    out: Path,
    *,
    images: int = 100,
    trials: int = 60,
    method: SearchMethod = "grid",
    seed: int = 0,
    workers: int,
    console: Console = SILENT,
) -> TuneRun:
    """Search the settings with which a labeler labels best, and write the labeler that has them.

    The network sees every image once, whatever the number of trials. Its features are kept in ``out``/cache: C x h x w
    numbers of 4 bytes per image, which is 7 MB at 4 : 3 for bana's own labeler. A trial then costs as much as labeling
    without the network. An interrupted run goes on where it stopped. A finished one can be called with more ``trials``,
    and its cache can be deleted.

    Args:
        dataset: Images with boxes and true masks.
        labeler: A labeler file or run folder.
        out: Gets ``labeler.safetensors`` with the best settings, ``tune.json``, ``trials.jsonl`` and ``cache``.
        images: Number of images to search on. As many others, if there are, tell at the end what the search gained.
        trials: Most settings to try. The labeler's own are the first.
        method: ``random`` or ``grid``.
        seed: Seed for drawing the images and random settings.
        workers: Number of processes; the result does not depend on it.
        console: Where progress is shown.

    Raises:
        DataError: If there are fewer than 2 images, or one of them or its true mask is missing or damaged.
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If ``out`` holds another search or a run of another kind, or cannot be written.
        SettingsError: If an argument is not allowed, or the labeler is one of image-level labels.
    """
    _check_arguments(images, trials, method)
    source = MethodChoice.of_labeler(labeler).facts()
    searched, unseen = chosen_records(dataset, images, seed)
    bench = Bench(LABELER.path(labeler), dataset.classes, json.dumps(source, sort_keys=True), out / "cache", workers)
    search = Search(method, bench.labeler.settings, seed)
    facts = {
        "labeler": source["labeler"],
        "settings": source["settings"],
        "classes": list(dataset.classes),
        "searched_images": [record.image_id for record in searched],
        "unseen_images": [record.image_id for record in unseen],
        "input_digest": _checked_inputs(dataset, (*searched, *unseen)),
        "method": method,
        "seed": seed,
        "parameters": [asdict(parameter) | {"grid": list(parameter.grid)} for parameter in search.parameters],
    }
    _claim(out, facts)
    finished = _run_trials(search, trials, bench, searched, out / TRIALS, console)
    before, after = _confirm(search, finished, bench, unseen, console)
    copy_network(LABELER.path(labeler), out / LABELER.file_name, label=after.settings.model_dump(mode="json"))
    run = TuneRun(search, facts, len(finished), before, after)
    write_json(out / RESULT, run.as_dict(), indent=2)
    return run


def chosen_records(
    dataset: BoxDataset, images: int, seed: int
) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]]:
    """Draw ``images`` to search on, and at most as many others; both are in the data set's order.

    Raises:
        DataError: If the data set has fewer than 2.
    """
    if len(dataset) < _MIN_IMAGES:
        raise DataError(
            f"{dataset.root}: has {len(dataset)} image to search on; give a split of at least {_MIN_IMAGES}"
        )
    order = shuffled(len(dataset), seed, "tune")
    parts = (order[:images], order[images : 2 * images])
    searched, unseen = (tuple(dataset[number] for number in sorted(part)) for part in parts)
    return searched, unseen


def _check_arguments(images: int, trials: int, method: SearchMethod) -> None:
    if images < _MIN_IMAGES:
        raise SettingsError(f"images: {images} cannot be searched on; give at least {_MIN_IMAGES}")
    if trials < 1:
        raise SettingsError(f"trials: {trials} is not allowed; give at least 1, which is the labeler as it is")
    if method not in get_args(SearchMethod):
        raise SettingsError(f"search {method!r} is not known; choose one of {', '.join(get_args(SearchMethod))}")


def _checked_inputs(dataset: BoxDataset, records: Sequence[ImageRecord]) -> str:
    """A digest of images, boxes and true masks; opens all of them, so that a DataError comes now and not in an hour."""
    digest = hashlib.sha256()
    for record in records:
        open_record_image(record)
        digest.update(input_digest(record, "").encode())
        digest.update(required_truth(record, dataset.class_table).tobytes())
    return digest.hexdigest()


def _claim(out: Path, facts: dict[str, Any]) -> None:
    """Write what is searched, or check that the folder holds the same search."""
    file = out / RESULT
    if file.exists():
        before = read_json_object(file)
        wrong = [name for name, value in facts.items() if before.get(name) != value]
        if wrong:
            raise OutputError(f"{file}: of a search with other {', '.join(wrong)}; choose another --out")
        return
    if out.is_dir() and LABELER.path(out).exists():
        raise OutputError(f"{LABELER.path(out)}: is the labeler of another run; choose another --out")
    write_json(file, facts, indent=2)


def _run_trials(
    search: Search, most: int, bench: Bench, records: Sequence[ImageRecord], file: Path, console: Console
) -> list[Trial]:
    """All trials, with those of an earlier run; each is written as soon as it is finished."""
    trials = _finished_trials(file, search)
    steps = count(len(trials) * len(records))
    with (
        closing(JsonLog(file, len(trials))) as log,
        closing(StepProgress("tuning", most * len(records), console)) as progress,
    ):

        def labeled() -> None:
            progress.update(next(steps), 1, {"best mIoU": best_trial(trials).miou} if trials else {})

        while proposals := search.proposals(trials, most):
            scores = bench.miou([search.settings(values) for values in proposals], records, labeled)
            for values, miou in zip(proposals, scores, strict=True):
                log.write({"step": len(trials), "settings": values, "miou": miou})
                trials.append(Trial(values, miou))
    return trials


def _finished_trials(file: Path, search: Search) -> list[Trial]:
    """The trials of an earlier run, up to the first that is torn or not what this search would have tried."""
    trials: list[Trial] = []
    try:
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    except OSError as error:
        raise OutputError(f"{file}: cannot be read ({error.strerror}); choose another --out") from error
    for line in lines:
        try:
            entry = json.loads(line)
            trial = Trial(entry["settings"], float(entry["miou"]))
        except (ValueError, TypeError, KeyError):
            break
        if [trial.values] != search.proposals(trials, len(trials) + 1):
            break
        trials.append(trial)
    return trials


def _confirm(
    search: Search, trials: Sequence[Trial], bench: Bench, unseen: Sequence[ImageRecord], console: Console
) -> tuple[Outcome, Outcome]:
    """The first and the best trial with their mIoU on unseen images, which is computed once if they are the same."""
    own, best = trials[0], best_trial(trials)
    steps, outcomes = count(), []
    with closing(StepProgress("confirming", (1 + (best is not own)) * len(unseen), console)) as progress:
        for trial in [own] if best is own else [own, best]:
            settings = search.settings(trial.values)
            scores = [*bench.miou([settings], unseen, lambda: progress.update(next(steps), 1, {}))]
            outcomes.append(Outcome(settings, trial.values, trial.miou, scores[0] if scores else None))
    return outcomes[0], outcomes[-1]
