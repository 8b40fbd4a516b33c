"""What all commands share: help, version, exit statuses, how much is said, completion."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bana import __version__
from bana.cli import app
from bana.cli.common import console

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands)
COLOR = "\x1b["


def real(*arguments, **environment):
    """The installed command, in a process of its own."""
    return subprocess.run(
        [Path(sys.executable).with_name("bana"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_help_needs_no_heavy_module():
    code = (
        "import sys; from bana.cli import main; sys.argv = ['bana', '--help']\n"
        "try: main()\n"
        "except SystemExit as left: assert not left.code\n"
        "heavy = {'torch', 'torchvision', 'timm', 'numba', 'numpy', 'matplotlib', 'PIL', 'fastapi'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("wrong", ["--split=nope", "--formats=tiff"])
def test_a_wrong_split_or_format_is_refused_before_anything_heavy_is_imported(shapes_voc, tmp_path, wrong):
    code = (
        "import sys; from bana.cli import main\n"
        f"sys.argv = ['bana', 'label', '{shapes_voc}', '{wrong}', '--out', '{tmp_path / 'out'}', '--workers', '1']\n"
        "try: main()\n"
        "except SystemExit as left: assert left.code == 2\n"
        "print(sorted({'torch', 'torchvision', 'timm', 'numba'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert wrong.partition("=")[2] in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "resumes"), [("label", True), ("predict", True), ("check", False), ("evaluate", False)]
)
def test_only_commands_that_resume_say_so_when_interrupted(run_cli, monkeypatch, shapes_voc, name, resumes):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"bana.{name}", interrupted, raising=False)
    arguments = {"predict": (shapes_voc,), "evaluate": (shapes_voc,)}.get(name, ())
    out = ("--out", "out") if resumes else ()
    answer = run_cli(name, *arguments, shapes_voc, *out)
    assert answer.status == 130
    assert answer.err == f"bana: interrupted{'; run the same command again to go on' if resumes else ''}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_how_much_it_says(run_cli, name):
    answer = run_cli(name, "--help")
    assert answer.status == 0
    for option in ("--quiet", "--verbose", "--help"):
        assert option in answer.out
    for line in re.findall(r"^│ .*<\w+>\s*│$", answer.out, re.MULTILINE):
        pytest.fail(f"an option without a word on what it is: {line}")


def test_version(run_cli):
    assert run_cli("--version") == (0, f"bana {__version__}\n", "")


def test_exit_statuses(run_cli, shapes_voc, tmp_path):
    assert run_cli("check", shapes_voc).status == 0
    for folder in ("Annotations", "ImageSets"):
        shutil.copytree(shapes_voc / folder, tmp_path / "voc" / folder)
    (tmp_path / "voc/JPEGImages").mkdir()  # the images are gone
    assert run_cli("check", tmp_path / "voc", "--split", "train").status == 1
    assert run_cli("check", tmp_path / "nothing").status == 2
    assert run_cli("check", shapes_voc, "--no-such-option").status == 2


def test_quiet_says_nothing_but_results(run_cli, shapes_voc, tiny_run, tmp_path):
    loud = run_cli("label", shapes_voc, "--labeler", tiny_run, "--out", tmp_path / "loud", "--workers", 1, "--json")
    assert loud.err
    answer = run_cli(
        "label", shapes_voc, "--labeler", tiny_run, "--out", tmp_path / "quiet", "--workers", 1, "--json", "-q"
    )
    assert answer.status == 0
    assert answer.err == ""
    assert json.loads(answer.out).keys() == json.loads(loud.out).keys()
    refused = run_cli("check", tmp_path / "nothing", "--quiet")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("bana: error: ")
    run_cli("check", shapes_voc)
    assert not console.quiet  # the next command speaks again


def test_verbose_says_what_runs_and_where_an_error_comes_from(run_cli, tmp_path):
    answer = run_cli("check", tmp_path / "nothing", "--verbose")
    assert answer.status == 2
    assert f"bana {__version__}, Python " in answer.err
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("bana: error: ")
    assert "Traceback" not in run_cli("check", tmp_path / "nothing").err


def test_no_color_where_none_is_wanted():
    assert COLOR in real("--help", FORCE_COLOR="1", NO_COLOR="").stdout
    plain = real("--help", FORCE_COLOR="1", NO_COLOR="1").stdout
    assert re.findall(r"\x1b\[[\d;]*3\d", plain) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_had(shell):
    script = real(_BANA_COMPLETE=f"source_{shell}")
    assert script.returncode == 0
    assert "bana" in script.stdout


def test_completion_knows_commands_and_options():
    def completed(words, place):
        asked = {"_BANA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
        return real(**asked).stdout.split()

    assert completed("bana la", 1) == ["label"]
    assert "--labeler" in completed("bana label --la", 2)


def test_control_characters_of_names_never_reach_the_terminal(run_cli, tmp_path):
    """A class and a file whose names would rename the window and move the cursor."""
    evil = "dog\x1b]0;owned\x07\x9b2J"
    folder = tmp_path / "data\x1b[2J"
    folder.mkdir()
    Image.new("RGB", (20, 20)).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 20}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 9, 9]}],
        "categories": [{"id": 1, "name": evil}],
    }
    file = folder / "instances.json"
    file.write_text(json.dumps(content))
    answers = [run_cli("check", file), run_cli("check", file, "--json"), run_cli("check", folder / "none.json")]
    assert [answer.status for answer in answers] == [0, 0, 2]
    assert "dog␛]0;owned" in answers[0].out
    assert evil in json.loads(answers[1].out)["classes"]
    assert "data␛[2J" in answers[2].err
    for answer in answers:
        assert not set("\x1b\x07\x9b") & set(answer.out + answer.err)
