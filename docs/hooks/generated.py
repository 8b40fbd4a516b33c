"""What pages of the site take from the code itself: every command's options, and the presets.

A page asks for such a part by a comment alone on its line, ``<!-- generated: commands -->``; on the site the part
stands in its place. So it is never older than the code that it describes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import typer

from bana.cli import app
from bana.data.images import SUFFIXES
from bana.data.policy import OUTCOMES, RULES
from bana.data.reading import LAYOUTS
from bana.presets import preset_names

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the generated parts into a page (called by MkDocs for each)."""
    return _MARK.sub(lambda mark: "\n".join(_PARTS[mark[1]]()), markdown)


def commands() -> Iterator[str]:
    """A section for every command: how it is called, what it does, its arguments and options in a table."""
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        context = command.context_class(command, info_name=f"bana {name}")
        parameters = command.get_params(context)
        arguments = [each.metavar for each in parameters if each.param_type_name == "argument"]
        yield from (f"## bana {name}", "", _plain(command.help), "")
        yield from ("```text", " ".join(["bana", name, *arguments, "[OPTIONS]"]), "```", "")
        yield from ("| argument or option | meaning |", "| --- | --- |")
        for parameter in parameters:
            called, meaning = parameter.get_help_record(context)
            yield f"| `{called}` | {_plain(meaning)} |"
        yield ""


def presets() -> Iterator[str]:
    """Every preset's YAML, to be unfolded."""
    for name in preset_names():
        yield f'??? note "{name}.yaml"'
        text = files("bana.presets").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        yield from (f"    {line}".rstrip() for line in ("", "```yaml", *text.splitlines(), "```", ""))


def reading() -> Iterator[str]:
    """What data sets are known by, the endings of images, and the readers' rules."""
    yield from ("| format | known by, here or in folders of splits |", "| --- | --- |")
    yield from (f"| {name} | {_plain(place).replace('*', '&#42;')} |" for name, place in LAYOUTS.items())
    yield from ("", f"Images end in {', '.join(f'`{suffix}`' for suffix in SUFFIXES)}.", "")
    yield from ("| outcome | meaning |", "| --- | --- |")
    yield from (f"| **{outcome}** | {meaning} |" for outcome, meaning in OUTCOMES.items())
    yield from ("", "| what is found | formats | outcome | |", "| --- | --- | --- | --- |")
    yield from (
        f"| {_plain(rule.found)} | {rule.formats} | **{rule.outcome}** | {_plain(rule.done)} |" for rule in RULES
    )


def _plain(text: str) -> str:
    """Text on one line that Markdown takes as it is, in a table too."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


_PARTS = {"commands": commands, "presets": presets, "reading": reading}
