"""The Python interface: what is there, packages that are functions too, and a call of each kind."""

import inspect
import pydoc
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bana
from bana.callable_modules import API
from shapes_data import write_true_masks

PACKAGES = ("affinity", "app", "classify", "evaluate", "label", "refine", "report", "segment")


def in_a_new_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_dir_shows_what_there_is_and_all_of_it_can_be_had():
    assert dir(bana) == sorted(bana.__all__)
    assert set(API) < set(bana.__all__)
    for name in bana.__all__:
        assert getattr(bana, name) is not None


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'lable'"):
        bana.lable  # noqa: B018


def test_importing_bana_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pydantic', 'PIL', 'rich', 'typer'}"
    assert in_a_new_process(f"import sys, bana; print(sorted({heavy} & sys.modules.keys()))") == "[]"


def test_checking_a_data_set_does_not_load_torch():
    assert in_a_new_process("import sys, bana; bana.check; print('torch' in sys.modules)") == "False"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_shows_the_documentation_and_signature_of_its_function(name):
    package = getattr(bana, name)
    assert inspect.ismodule(package)
    function = package._function
    assert inspect.signature(package) == inspect.signature(function)
    assert inspect.getdoc(package) == inspect.getdoc(function)
    assert function.__doc__.splitlines()[0] in pydoc.plain(pydoc.render_doc(package))


def test_packages_that_are_functions_are_packages_still():
    code = (
        "import bana.label.labeler, bana.classify.pooling\n"
        "from bana.evaluate import mean_iou\n"
        "from bana import evaluate\n"
        "print(callable(bana.label), bana.label.labeler.Labeler.__name__, callable(bana.classify))\n"
        "print(bana.classify.pooling.background_queries.__name__, mean_iou is evaluate.mean_iou)"
    )
    assert in_a_new_process(code).split() == ["True", "Labeler", "True", "background_queries", "True"]


def test_every_argument_is_documented():
    for name in API:
        function = getattr(bana, name)
        documentation = inspect.getdoc(function)
        if name in ("affinity", "refine", "segment"):  # their documentation refers to that of classify
            documentation += inspect.getdoc(bana.classify)
        for argument in inspect.signature(function).parameters:
            assert f"\n    {argument}: " in documentation or f"\n    **{argument}: " in documentation, (name, argument)


def test_label_and_evaluate(shapes_voc, tmp_path, capsys):
    shapes_voc = write_true_masks(shutil.copytree(shapes_voc, tmp_path / "voc"))
    run = bana.label(str(shapes_voc), str(tmp_path / "labels"), method="box", formats=["coco"], workers=1, quiet=True)
    assert run.as_dict()["labeled"] == run.images
    scores = bana.evaluate(tmp_path / "labels", shapes_voc, boundary=False, quiet=True)
    assert scores.as_dict()["images"] == run.images
    assert capsys.readouterr() == ("", "")
    bana.label(shapes_voc, tmp_path / "loud", method="box", workers=1)
    out, err = capsys.readouterr()
    assert (out, "labeling" in err) == ("", True)


def test_settings_are_keywords(shapes_voc, tiny_run, tmp_path):
    bana.label(shapes_voc, tmp_path / "labels", labeler=tiny_run, refinements=2, workers=1, quiet=True)
    assert '"refinements": 2' in (tmp_path / "labels/labels.json").read_text()
    with pytest.raises(bana.SettingsError, match="refinement: no such setting; did you mean refinements"):
        bana.label(shapes_voc, tmp_path / "other", labeler=tiny_run, refinement=2, workers=1, quiet=True)


def test_check_and_convert(shapes_voc, tmp_path):
    assert bana.check(shapes_voc, quiet=True).faults == ()
    bana.convert(shapes_voc, tmp_path / "coco", "coco", quiet=True)
    assert bana.check(tmp_path / "coco", quiet=True).boxes == bana.check(shapes_voc, quiet=True).boxes


def test_a_program_that_calls_bana_passes_a_type_checker(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        "import bana\n"
        "run = bana.label('a', 'b', split='train')\n"
        "images: int = run.images\n"
        "scores = bana.evaluate('b', 'a').as_dict()\n"
        "labeler = bana.Labeler.pretrained()\n"
        "file = bana.classify('a', 'b', preset='lite0', epochs=3)\n"
        "print(images, scores, labeler, file.name, bana.open_image)\n"
    )
    source = Path(bana.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", source.parent / ".mypy_cache", program],
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(source), "PATH": ""},
    )
    assert "Success" in done.stdout, done.stdout
