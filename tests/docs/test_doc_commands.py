"""Every command of the README and the documentation is run, or is in the list of those that are not (doc_tables.py)."""

import argparse
import re
import runpy
import shlex
import shutil
import sys
import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import typer

from bana.cli import app, main
from doc_blocks import ROOT, Block, commands, inline
from doc_tables import ADDED, DATASETS, NOT_RUN, OBJECT_PAGES, PLACEHOLDERS, SLOW, SPLITS

ALL = commands()


def reasons(block: Block) -> list[str]:
    """The patterns of the list of those that are not run that match a command."""
    return [pattern for pattern in NOT_RUN if fnmatchcase(block.text, pattern)]


def to_run(block: Block) -> list[str]:
    """The words of a command as it is run here: ``bana``, and its arguments."""
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(block.text.removeprefix("time "))]
    if words[0] != "bana":
        return words
    name = words[1]
    of_objects = block.page in OBJECT_PAGES
    if of_objects:
        read = [at for at, word in enumerate(words) if word == "network" and words[at - 1] != "--out"]
        words = ["detector" if at in read else word for at, word in enumerate(words)]
    added = shlex.split(ADDED.get(f"{name} objects" if of_objects else name, ADDED.get(name, "")))
    for option in (word for word in added if word.startswith("--")):
        while option in words:
            at = words.index(option)
            del words[at : at + 2]
    return [*words, *added]


def key(words: Sequence[str]) -> tuple[str, ...]:
    """What makes a command another one than those that differ by placeholders alone."""
    kept = list(words)
    for at, word in enumerate(words[:-1], start=1):
        if word in ("--out", *SPLITS):
            kept[at] = word
        if words[0] == "bana" and words[1] in SLOW and words[at] in DATASETS:
            kept[at] = DATASETS[0]
    return tuple(kept)


DIFFERENT = {key(to_run(block)): block for block in reversed(ALL) if not reasons(block)}
KEPT_OUT = [block for block in {block.text: block for block in ALL}.values() if reasons(block)]


@pytest.mark.parametrize("block", sorted(DIFFERENT.values(), key=str), ids=str)
def test_a_command_runs(block, world, tmp_path, monkeypatch, capsys):
    words = ["tiny.yaml" if word == "TINY" else word for word in to_run(block)]
    assert words[0] == "bana", "is neither a command of bana nor in the list of those that are not run"
    outputs = [words[at + 1] for at, word in enumerate(words) if word == "--out"] + words[3:4] * (words[1] == "convert")
    for entry in world.iterdir():
        if entry.name not in outputs:
            (tmp_path / entry.name).symlink_to(entry)
    if words[1] in {"export", "report"}:  # they write into the run
        (tmp_path / words[2]).unlink()
        shutil.copytree(world / words[2], tmp_path / words[2])
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    assert not left.value.code, said.err
    assert said.out.strip()
    written = {entry.name for entry in set(tmp_path.iterdir()) - before}
    assert written == set(outputs)


@pytest.mark.parametrize("block", KEPT_OUT, ids=str)
def test_a_command_that_is_not_run_would_be_understood(block, monkeypatch):
    words = shlex.split(re.sub(r"^(RAY_ADDRESS=\S+ )", "", block.text))
    if words[0] == "torchrun":
        from torch.distributed.run import get_args_parser

        given = get_args_parser().parse_args(words[1:])
        assert given.module
        assert given.training_script == "bana"
        words = ["bana", *given.training_script_args]
    if words[0] == "bana":
        group = typer.main.get_command(app)
        group.commands[words[1]].make_context(words[1], words[2:])
    elif words[0] == "python":
        script_understands(ROOT / words[1], words, monkeypatch)
    elif words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for named in re.findall(r"(?:bana|\.)\[([^]]*)\]", block.text):
            assert set(named.split(",")) <= extras.keys()
    else:
        assert words[0] == "pytest" or shutil.which(words[0])


IN_SENTENCES = [block for block in inline() if re.match(r"bana [a-z]+ .*--", block.text)]


@pytest.mark.parametrize("block", IN_SENTENCES, ids=str)
def test_a_command_in_a_sentence_has_options_that_exist(block):
    _, name, *words = block.text.split()
    known = {
        option
        for each in typer.main.get_command(app).commands[name].params
        for option in (*each.opts, *each.secondary_opts)
    }
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}


class Understood(Exception):  # noqa: N818  (no error)
    pass


def script_understands(script: Path, words: list[str], monkeypatch) -> None:
    """Start a script as far as its options are read; one without options is looked for alone."""
    if "argparse" not in script.read_text():
        return

    def parse(parser, *given):
        known(parser, *given)
        raise Understood

    known = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", words[1:])
    monkeypatch.syspath_prepend(script.parent)
    with pytest.raises(Understood):
        runpy.run_path(str(script), run_name="__main__")


def test_the_list_of_those_that_are_not_run_is_of_today():
    named = {pattern for block in ALL for pattern in reasons(block)}
    assert named == NOT_RUN.keys()
    assert PLACEHOLDERS.keys() <= {word for block in ALL for word in shlex.split(block.text)}


def test_commands_are_found():
    """The README's own, one each of an indented and of a console block, are among them."""
    texts = {(block.page, block.text) for block in ALL}
    assert ("README.md", "bana export network --to onnx") in texts
    assert ("docs/segmentation.md", "bana export network --to onnx") in texts
    assert ("README.md", "pytest -n 2") in texts
    assert len(IN_SENTENCES) > 10
