"""``benchmarks/figures.py`` finds every figure on its page, knows a command for it, and notices one that differs."""

import ast
import json
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import typer
import yaml

from bana.cli import app

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # where a benchmark finds the others
figures = import_module("figures")
documented = import_module("documented")

MANIFEST = yaml.safe_load((ROOT / "benchmarks/figures.yaml").read_text(encoding="utf-8"))
COMMANDS = MANIFEST["commands"]
ENTRIES = [*((documented.figures_of_table, each) for each in MANIFEST["tables"])] + [
    (documented.figures_of_sentence, each) for each in MANIFEST["sentences"]
]


@cache
def found():
    return documented.read_manifest(MANIFEST)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("read", "entry"), ENTRIES, ids=[f"{each['page']}: {each.get('heading', each.get('text'))}" for _, each in ENTRIES]
)
def test_an_entry_is_found_on_its_page(read, entry):
    assert list(read(entry, ROOT))


@pytest.mark.fast
def test_no_figure_is_named_twice():
    names = Counter((figure.page, figure.name) for figure in found())
    assert len(names) > 600
    assert set(names.values()) == {1}


@pytest.mark.fast
def test_every_reading_has_a_command_and_a_tolerance():
    used = {figure.command for figure in found()}
    for name in COMMANDS:
        used |= set(figures.placeholders(COMMANDS[name]["run"])) & COMMANDS.keys()
    assert used == COMMANDS.keys()
    for figure in found():
        assert figure.reading.count("{}") <= 1
        assert figures.within(figure.documented, figure.documented[0], figure.tolerance)[1]


@cache
def options_of(script):
    """The options of a script, from its text: nothing that it needs is imported."""
    calls = [node for node in ast.walk(ast.parse((ROOT / script).read_text())) if isinstance(node, ast.Call)]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    return {argument.value for call in added for argument in call.args if isinstance(argument, ast.Constant)}


@pytest.mark.fast
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_would_be_understood(name):
    command = COMMANDS[name]
    assert command["cost"] in figures.COSTS
    assert set(figures.placeholders(command["run"])) <= {"out", *COMMANDS, *MANIFEST["data"]}
    words = command["run"].split()
    if words[0] == "bana":
        typer.main.get_command(app).commands[words[1]].make_context(words[1], words[2:])
    elif words[:2] != ["python", "-m"]:
        assert words[0] == "python"
        assert {word for word in words[2:] if word.startswith("--")} <= options_of(words[1])


PAGE = """
# Results
| method | AP, *mean* | s | s |
| --- | ---: | ---: | --- |
| **ours** | 50.5 / 86.1 | 1,200 | 2 to 3 s |
| ... [small](x.md) | 40.0 | | 5e-6 |
| ours | 7 | 8 | 9 |

The labeler agrees on **94 %** of
all pixels, and 3 of 4 others.
"""


@pytest.mark.fast
def test_numbers_of_a_page_are_found_by_row_and_column():
    table = documented.read_tables(PAGE)["Results", 1]
    assert table.columns == ["AP, mean", "s", "s #2"]
    assert [name for name, _ in table.rows] == ["ours", "ours ... small", "ours #2"]
    assert [documented.numbers(cell) for cell in table.rows[0][1]] == [
        [(50.5, 50.5), (86.1, 86.1)],
        [(1200, 1200)],
        [(2, 3)],
    ]
    assert documented.numbers("-0.2, +5e-6 s (AP50, v1.5)") == [(-0.2, -0.2), (5e-6, 5e-6)]


@pytest.mark.fast
def test_values_are_read_from_json_and_from_text():
    values = json.dumps({"rows": {"a,b": {"miou": 90.0}, "b": {"miou": 80.5, "bytes": 3e6, "none": None}}})
    assert figures.measured(values, "rows.a,b.miou") == 90
    assert figures.measured(values, "rows.a,b.miou - rows.b.miou") == 9.5
    assert figures.measured(values, "100 - rows.b.miou") == 19.5
    assert figures.measured(values, "rows.b.bytes / 1e6") == 3
    assert figures.measured("│ ret  │ 0.77 │\n│ bap │ 1,234 │ 5.0 ms", "bap │ {_} │ {} ms") == 5
    for output, reading in ((values, "rows.c"), (values, "rows.b.none"), ("text", "rows"), ("a 1 a 2", "a {}")):
        with pytest.raises(documented.FigureError):
            figures.measured(output, reading)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("value", "tolerance", "good"),
    [
        *((2.5, 0.1, True), (1.9, 0.1, True), (1.8, 0.1, False), (3.2, 0.1, False)),
        *((4.4, "1.5x", True), (4.6, "1.5x", False), (1.4, "1.5x", True), (1.3, "1.5x", False)),
    ],
)
def test_a_value_may_leave_the_documented_range_by_the_tolerance(value, tolerance, good):
    assert figures.within((2.0, 3.0), value, tolerance)[1] is good


@pytest.fixture
def world(tmp_path):
    """A page, a manifest, and the words of all commands that were run."""
    (tmp_path / "page.md").write_text(PAGE)
    manifest = {
        "data": {"voc": "images"},
        "commands": {
            "labels": {"run": "bana label {voc} --out {out}", "cost": "minutes"},
            "scores": {"run": "bana evaluate {labels} {voc}", "cost": "seconds"},
            "training": {"run": "bana run {voc}", "cost": "hours"},
        },
        "tables": [
            {
                "page": str(tmp_path / "page.md"),
                "heading": "Results",
                "tolerance": 0.3,
                "rows": {"ours": {"AP, mean": "scores ap; ap50", "s": "training seconds"}},
            }
        ],
        "sentences": [
            {
                "page": str(tmp_path / "page.md"),
                "text": "on {} % of all pixels",
                "read": "scores agreed",
                "tolerance": 1,
            }
        ],
    }
    (tmp_path / "figures.yaml").write_text(yaml.safe_dump(manifest))
    return tmp_path


def called(world, *options, ap=50.4, status=0):
    """The exit status, and the commands that were run."""
    ran = []

    def execute(words, log):
        ran.append(" ".join(words).replace(str(world), "W"))
        if status:
            raise documented.FigureError(f"exit status {status}")
        return json.dumps({"ap": ap, "ap50": 86.0, "agreed": 94.4})

    return figures.main(["--manifest", str(world / "figures.yaml"), *map(str, options)], execute), ran


@pytest.mark.fast
def test_figures_within_their_tolerance_are_ok(world, capsys):
    voc, keep = world / "voc", world / "keep"
    ended, ran = called(world, "--voc", voc, "--keep", keep)
    assert ended == 0
    assert ran == ["bana label W/voc --out W/keep/labels", "bana evaluate W/keep/labels W/voc"]
    rows = [line.split("\t")[2:] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [
        ["50.5", "50.4", "-0.1", "0.3", "OK"],
        ["86.1", "86", "-0.1", "0.3", "OK"],
        ["1200", "", "", "0.3", "not run (training takes hours)"],
        ["94", "94.4", "+0.4", "1", "OK"],
    ]
    assert called(world, "--voc", voc, "--keep", keep) == (0, [])  # all is there
    assert called(world, "--voc", voc, "--keep", keep, "--cost", "hours", "--only", "training")[1] == ["bana run W/voc"]


@pytest.mark.fast
def test_a_figure_that_differs_ends_with_status_1(world, capsys):
    assert called(world, "--voc", world, ap=51.0)[0] == 1
    assert [line.rpartition("\t")[2] for line in capsys.readouterr().out.splitlines()[1:]].count("DIFFERS") == 1


@pytest.mark.fast
def test_a_command_that_fails_runs_once_and_ends_with_status_1(world, capsys):
    ended, ran = called(world, "--voc", world, status=2)
    assert (ended, len(ran)) == (1, 1)
    assert "FAILED (labels: exit status 2)" in capsys.readouterr().out


@pytest.mark.fast
def test_what_is_missing_or_too_long_is_not_run(world, capsys):
    assert called(world) == (0, [])
    assert "not run (--voc is not given)" in capsys.readouterr().out
    assert called(world, "--voc", world, "--cost", "seconds") == (0, [])
    assert "not run (labels takes minutes)" in capsys.readouterr().out
    assert called(world, "--list") == (0, [])
    assert "50.5\tminutes\tbana evaluate {labels} {voc}" in capsys.readouterr().out


@pytest.mark.fast
def test_a_figure_that_left_its_page_is_an_error(world):
    page = world / "page.md"
    manifest = yaml.safe_load((world / "figures.yaml").read_text())
    for change in (
        ("of\nall pixels", "of most"),
        ("| **ours** |", "| theirs |"),
        ("50.5 / 86.1", "50.5"),
        ("*mean*", ""),
    ):
        page.write_text(PAGE.replace(*change))
        documented.page_text.cache_clear()
        with pytest.raises(documented.FigureError, match=r"page\.md: "):
            documented.read_manifest(manifest)
    documented.page_text.cache_clear()
