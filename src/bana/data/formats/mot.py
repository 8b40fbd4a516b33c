"""MOT Challenge: a folder for each video, with its frames and one text file of all boxes.

A sequence holds ``img1/000001.jpg`` and so on (or a video file), ``gt/gt.txt`` or ``det/det.txt``, and ``seqinfo.ini``
where the format is kept in full. A line of the text is

    frame, id, left, top, width, height, confidence, class, visibility

Frames count from 1, and so do pixels: the upper left one is (1, 1). Lines of ten numbers are of MOT 2015, whose last
three are places in the world and not a class. Rules:

- ``gt.txt`` is read where it is there, else ``det.txt``, whose confidence is the score and whose id -1 is no track.
- Lines of ``gt.txt`` with confidence 0 are what the benchmark does not count: their pixels are neither object nor
  background.
- Boxes cover the hidden part of an object too: what reaches out of the image is cut without a note.
- Where ``gt/labels.txt`` lists the classes, as CVAT and Datumaro write it, pixels count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bana.data.classes import class_table, read_lines
from bana.data.frames import FrameFiles, images_in, numbered, videos_in
from bana.data.objects import AnnotatedObject, Box, checked_score, stated_size, usable_area, usable_objects
from bana.data.paths import FolderFiles, checked_name, chosen_split, split_folders
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.videos import VideoFile
from bana.errors import DataError
from bana.io.faults import FaultLog

CLASSES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person"),
    *("distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd"),
)
"""The classes of the benchmark, numbered from 1."""

_MAX_FRAME = 10_000_000


class _Line(NamedTuple):
    """A line of the text: its place for messages, its numbers, and whether it is of an object that counts."""

    where: str
    frame: int
    track: int
    box: Box
    class_number: int
    score: float | None
    counts: bool


def detect(path: Path) -> bool:
    """Whether ``path`` is the folder of a sequence, or has such folders, in itself or as splits."""
    return path.is_dir() and bool(splits(path))


def splits(path: Path) -> dict[str, list[Path]]:
    """The folders of the sequences of each split; of a data set without splits the name is ``""``."""
    if _boxes_of(path) is not None:
        return {"": [path]}
    if found := _sequences(path):
        return {"": found}
    parts = ((folder.name, _sequences(folder)) for folder in split_folders(path))
    return {name: folders for name, folders in parts if folders}


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read the frames of all sequences of a split.

    Classes are those of objects that are read, in the benchmark's order, or those of ``gt/labels.txt``.

    Raises:
        DataError: If the split is missing or unknown, or a sequence or an image of it cannot be used (see FaultLog).
    """
    split, folders = chosen_split(path, split, splits(path))
    lines = [_lines(folder, faults) for folder in folders]
    classes, numbers = _classes(folders, lines)
    records = [
        record
        for folder, of_sequence in zip(folders, lines, strict=True)
        for record in _records(folder, of_sequence, numbers, faults, files)
    ]
    usable = tuple(record for record in records if not faults.has_fault(record.image_id))
    return BoxDataset(usable, classes, path, "mot", split or None, faults.rejected())


def _sequences(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and _boxes_of(each)) if folder.is_dir() else []


def _boxes_of(sequence: Path) -> Path | None:
    """The text file of a sequence."""
    return next((file for kind in ("gt", "det") if (file := sequence / kind / f"{kind}.txt").is_file()), None)


def _listed(sequence: Path) -> Path | None:
    """The list of the classes, where another tool than the benchmark wrote the sequence."""
    file = sequence / "gt" / "labels.txt"
    return file if file.is_file() else None


def _lines(sequence: Path, faults: FaultLog) -> list[_Line]:
    """The lines of a sequence; one that is malformed is left out."""
    file = _boxes_of(sequence)
    assert file is not None
    is_truth, origin = file.name == "gt.txt", 1.0 if _listed(sequence) is None else 0.0
    found: list[_Line] = []
    seen: set[tuple[int, int]] = set()
    for position, text in enumerate(read_lines(file), start=1):
        if not text.strip():
            continue
        where = f"{file}:{position}"
        with faults.catch_object(where):
            line = _parsed(text, where, origin, is_truth=is_truth)
            if line.track >= 0 and (line.frame, line.track) in seen:
                faults.repaired(
                    where, f"{where}: id {line.track} is twice on frame {line.frame + 1}; the second has none"
                )
                line = line._replace(track=-1)
            seen.add((line.frame, line.track))
            found.append(line)
    return found


def _parsed(text: str, where: str, origin: float, *, is_truth: bool) -> _Line:
    words = [word.strip() for word in text.strip().rstrip(",").split(",")]
    if len(words) < 6:
        raise DataError(f"{where}: has {len(words)} numbers; give at least frame,id,left,top,width,height")
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise DataError(f"{where}: {text.strip()!r:.60} is not numbers joined by commas; correct it") from error
    frame, track, left, top, width, height = numbers[:6]
    if not (1 <= frame <= _MAX_FRAME and frame == int(frame) and abs(track) < 2**53 and track == int(track)):
        raise DataError(f"{where}: frame {frame:g} with id {track:g}; give whole numbers, frames from 1")
    confidence = numbers[6] if len(numbers) > 6 else 1.0
    class_number = numbers[7] if len(numbers) in (8, 9) else 1.0
    if not -1 <= class_number < 2**31 or class_number != int(class_number):
        raise DataError(f"{where}: class {class_number:g} is not the number of one; correct it")
    x0, y0 = left - origin, top - origin
    box = (x0, y0, x0 + width, y0 + height)
    score = None if is_truth else checked_score(confidence, where)
    number = int(class_number) if class_number > 0 else 1
    return _Line(where, int(frame) - 1, int(track), box, number, score, counts=not is_truth or confidence != 0)


def _classes(folders: Sequence[Path], lines: Sequence[Sequence[_Line]]) -> tuple[ClassTable, dict[int, int]]:
    """The class table, and the class ids by the numbers of the text.

    Raises:
        DataError: If sequences list different classes.
    """
    listed = {file: read_lines(file) for folder in folders if (file := _listed(folder)) is not None}
    if listed:
        (first, names), *others = listed.items()
        for file, theirs in others:
            if theirs != names:
                raise DataError(f"{file}: lists other classes than {first}; read each sequence by itself")
        names = [name.strip() for name in names]
        table = class_table(names)
        return table, {
            number: table.names.index(name) + 1 for number, name in enumerate(names, 1) if name in table.names
        }
    numbers = {line.class_number for each in lines for line in each if line.counts}
    used = sorted({number for number in numbers if number <= len(CLASSES)} | {1})
    return ClassTable(tuple(CLASSES[number - 1] for number in used)), {number: at for at, number in enumerate(used, 1)}


def _records(
    sequence: Path, lines: Sequence[_Line], class_ids: dict[int, int], faults: FaultLog, files: FolderFiles
) -> list[ImageRecord]:
    frames, stated = _frame_files(sequence)
    of_frame: dict[int, list[_Line]] = {}
    for line in lines:
        of_frame.setdefault(line.frame, []).append(line)
    records = []
    for number in sorted({*frames.numbers, *of_frame}):
        image_id = frames.image_id(number)
        with faults.catch(image_id):
            own = of_frame.get(number, [])
            path = frames.path(number, files, own[0].where if own else str(sequence))
            size = stated or frames.size(number)
            counted = [line for line in own if line.counts]
            parse = partial(_object, size=size, class_ids=class_ids)
            objects, ignored = usable_objects(counted, parse, partial(_area, size=size), image_id, faults)
            areas = (_area(line, size) for line in own if not line.counts)
            records.append(frames.record(number, path, size, objects, [*ignored, *filter(None, areas)]))
    return records


def _object(line: _Line, size: tuple[int, int], class_ids: dict[int, int]) -> AnnotatedObject:
    if line.class_number not in class_ids:
        raise DataError(f"{line.where}: class {line.class_number} is not known; correct it")
    box = _area(line, size)
    if box is None or line.box[2] <= line.box[0] or line.box[3] <= line.box[1]:
        raise DataError(f"{line.where}: the box has no area in the {size[0]}x{size[1]} image; correct or remove it")
    track_id = line.track if line.track >= 0 else None
    return AnnotatedObject(box, class_ids[line.class_number], score=line.score, track_id=track_id)


def _area(line: _Line, size: tuple[int, int]) -> Box | None:
    return usable_area(line.box, *size)


def _frame_files(sequence: Path) -> tuple[FrameFiles, tuple[int, int] | None]:
    """Where the frames are, and their (width, height) where ``seqinfo.ini`` states it."""
    info = _info(sequence)
    where = f"{sequence / 'seqinfo.ini'}"
    name = sequence.absolute().name
    folder = sequence / checked_name(info.get("imdir", "img1"), where)
    sides = [_number(info[key], f"{where}: {key}") for key in ("imwidth", "imheight") if key in info]
    size = stated_size(sides[0], sides[1], where) if len(sides) == 2 else None
    rate = _number(info["framerate"], f"{where}: framerate") if "framerate" in info else None
    rate = rate if rate and 0 < rate < 1e6 else None
    if images := images_in(folder):
        return FrameFiles(name, folder, numbered(images, from_one=True), rate, f"{name}/"), size
    videos = videos_in(sequence)
    if len(videos) != 1:
        remedy = "put the frames there, or one video beside it"
        raise DataError(f"{folder}: holds no frames of the sequence; {remedy}")
    return FrameFiles(name, videos[0], rate=rate or VideoFile(videos[0]).rate), size


def _info(sequence: Path) -> dict[str, str]:
    """What ``seqinfo.ini`` says, by keys in small letters; nothing where there is none."""
    file = sequence / "seqinfo.ini"
    if not file.is_file():
        return {}
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string("\n".join(read_lines(file)), str(file))
        return dict(parser["Sequence"])
    except (ConfigError, KeyError) as error:
        reason = "it has no [Sequence]" if isinstance(error, KeyError) else type(error).__name__
        raise DataError(f"{file}: is not a sequence's description ({reason}); correct or remove it") from error


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{where} is {text!r:.40}, not a number; correct it") from error
