import io
import json

import pytest
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bana.io.terminal import Terminal, escaped_json, print_line, printable

EVIL = "a\x1b]0;owned\x07\x9b31m\x7f\rb"
SHOWN = "a␛]0;owned␇\ufffd31m␡␍b"


def obeyed(text):
    """The control characters of a text other than ends of lines."""
    return [letter for letter in text if (ord(letter) < 0x20 and letter not in "\n\t") or 0x7F <= ord(letter) < 0xA0]


def test_control_characters_become_pictures():
    assert printable(EVIL) == SHOWN
    assert printable("Grüße\tein\n日本 🐕") == "Grüße\tein\n日本 🐕"


def test_a_line_is_printed_without_them(capsys):
    print_line(EVIL)
    assert capsys.readouterr().out == SHOWN + "\n"


@pytest.mark.parametrize("wrap", [EVIL, Text(EVIL)], ids=["text", "rich"])
def test_a_console_shows_them_in_lines_and_tables(wrap):
    file = io.StringIO()
    console = Terminal(file=file, width=80)
    table = Table(title=wrap)
    table.add_column(wrap)
    table.add_row(wrap)
    console.print(wrap)
    console.print(table)
    assert not obeyed(file.getvalue())
    assert "␛]0;owned" in file.getvalue()


def test_a_console_keeps_its_own_colors_and_progress():
    file = io.StringIO()
    console = Terminal(file=file, width=80, force_terminal=True, color_system="standard", legacy_windows=False)
    console.print("[red]dog[/red]")
    assert "\x1b[31mdog" in file.getvalue()
    with Progress(console=console) as progress:
        progress.add_task(EVIL, total=1)
    assert "\x1b]0" not in file.getvalue()
    assert "\x1b[?25l" in file.getvalue()  # the cursor is hidden meanwhile


def test_json_has_them_as_escapes_and_other_letters_as_they_are():
    text = escaped_json({"name": EVIL + "é"})
    assert not obeyed(text)
    assert "é" in text
    assert json.loads(text) == {"name": EVIL + "é"}
