"""Options: every command passes on what the API's function of its name takes, and lists of values are complete."""

import inspect
import re
from typing import get_args

import pytest

import bana
from bana.cli import app, comparing, datasets, labeling, options, predicting, runs, training
from bana.cli.common import arguments, split_names
from bana.errors import BanaError

COMMANDS = {
    name: function
    for module in (comparing, datasets, labeling, predicting, runs, training)
    for name, function in vars(module).items()
    if inspect.isfunction(function) and function.__module__ == module.__name__
}
SETTINGS = {"label": {"refine", "u0", "refinements"}, "refine": {"epochs", "precision"}}
SETTINGS["affinity"] = {"epochs", "precision"}
SETTINGS["classify"] = {"pooling", "epochs", "precision"}
SETTINGS["segment"] = {"loss", "epochs", "precision"}
PARSED = {
    ("label", "formats"): ("png", ()),
    ("compare", "methods"): ("all", None),
    ("convert", "splits"): (None, ()),
}
"""Options that a command parses: its default and the function's."""


def defaults(function):
    return {name: each.default for name, each in inspect.signature(function).parameters.items()}


def test_the_commands_are_those_of_the_program():
    assert sorted(COMMANDS) == sorted(command.callback.__name__ for command in app.registered_commands)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_has_the_parameters_and_defaults_of_the_function(name):
    command, function = defaults(COMMANDS[name]), defaults(getattr(bana, name))
    command.pop("as_json", None)
    function.pop("quiet", None)
    assert ("settings" in command) == ("settings" in function)
    command.pop("settings", None)
    function.pop("settings", None)
    for setting in SETTINGS.get(name, ()):
        assert command.pop(setting) is None
    for (place, option), (given, wanted) in PARSED.items():
        if place == name:
            assert (command.pop(option), function.pop(option)) == (given, wanted)
    assert command.keys() == function.keys()
    for option, value in function.items():
        assert command[option] == value or str(command[option]) == str(value), option


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_short(name):
    source = inspect.getsource(COMMANDS[name])
    body = source[source.index('"""\n' if '."""\n' in source else '"""') :]
    body = re.split(r'"""\n', source)[-1]
    assert len(body.splitlines()) <= 8


def test_lists_of_values_are_those_of_the_settings():
    from bana.classify.settings import ClassifySettings
    from bana.data.convert import WRITERS
    from bana.data.formats import OTHER_NAMES
    from bana.data.reading import FORMATS
    from bana.data.writing import ImageMode
    from bana.engine.plan import Precision
    from bana.io.faults import OnError
    from bana.label.methods.choose import NAMES
    from bana.label.search import SearchMethod
    from bana.label.settings import LabelSettings
    from bana.pipeline.object_rows import OBJECT_TABLES
    from bana.pipeline.rows import TABLES
    from bana.pipeline.study import METHOD_TABLE
    from bana.presets import preset_names
    from bana.segment.export import Format
    from bana.segment.settings import Loss

    def values(kind):
        return set(get_args(kind))

    assert tuple(NAMES) == options.METHODS
    assert tuple(preset_names()) == options.PRESETS
    assert values(options.FormatName) == {*FORMATS, *OTHER_NAMES}
    assert values(options.TargetName) == {*WRITERS, *OTHER_NAMES}
    assert values(options.OnErrorName) == values(OnError)
    assert values(options.LossName) == values(Loss)
    assert values(options.PoolingName) == values(ClassifySettings.model_fields["pooling"].annotation)
    assert values(options.PrecisionName) == values(Precision)
    assert values(options.UnaryName) == values(LabelSettings.model_fields["u0"].annotation)
    assert values(options.SearchName) == values(SearchMethod)
    assert values(options.ImageModeName) == values(ImageMode)
    assert values(options.ExportName) == values(Format)
    assert values(options.TableName) == {METHOD_TABLE, *TABLES, *OBJECT_TABLES}


def test_a_value_that_is_not_in_the_list_is_refused(run_cli, shapes_voc):
    answer = run_cli("check", shapes_voc, "--format", "pascal")
    assert answer.status == 2
    assert "'pascal' is not one of 'voc', 'coco', 'yolo', 'labelme'" in " ".join(answer.err.replace("│", " ").split())


def test_no_help_is_a_fragment_of_the_old_kind(run_cli):
    for name in COMMANDS:
        text = " ".join(run_cli(name, "--help").out.replace("│", " ").split())
        for words in ("if left out", "Of everything", "DistContext", "--resume", "--source", "--sample"):
            assert words not in text, (name, words)


def test_set_gives_settings_by_name_and_section():
    given = arguments(
        {"data": "d", "settings": ["image_side=900", "crf.iterations=5", "crf.bilateral_sxy=9", "u0=cam"]}
    )
    assert given.pop("quiet") in (True, False)
    assert given == {"data": "d", "image_side": 900, "crf": {"iterations": 5, "bilateral_sxy": 9}, "u0": "cam"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("image_side", "--set image_side: give KEY=VALUE, such as image_side=900"),
        ("image_side=", "--set image_side=: give KEY=VALUE"),
        ("=900", "--set =900: give KEY=VALUE"),
        ("image_side=[", "--set image_side: line 1: is not YAML"),
        ("load_workers=3", "--set load_workers: is an option of its own; give --load-workers"),
        ("quiet=true", "--set quiet: is an option of its own"),
    ],
)
def test_a_setting_that_cannot_be_set_is_refused_in_one_line(setting, message):
    with pytest.raises(BanaError) as caught:
        arguments({"load_workers": 1, "settings": [setting]})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_names_joined_by_commas():
    assert split_names("box,fuse:a,b,ret") == ["box", "fuse:a,b", "ret"]
    assert split_names("box, fuse:a, b , ret") == ["box", "fuse:a,b", "ret"]
    assert split_names("all") == ["all"]
