"""Tables: a row is one line and a number is whole, however narrow the terminal."""

import io
import re
import shutil
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

import bana
from bana.cli.tables.comparing import comparison_tables, reproduction_tables
from bana.cli.tables.datasets import check_tables
from bana.cli.tables.runs import demo_tables
from bana.cli.tables.scores import score_tables
from bana.cli.tables.table import Column, FittedTable
from bana.data.sample import FOLDER, sample_dataset
from bana.evaluate import evaluate_labels
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.pipeline.compare import Comparison
from bana.pipeline.methods import ALL, method_of
from bana.pipeline.object_rows import FIGURES, OBJECT_TABLES
from bana.pipeline.rows import TABLES
from bana.pipeline.study import Reproduction
from bana.report.demo import Demo
from shapes_data import write_true_masks

WIDTHS = (60, 80, 120)
CUT_NUMBER = re.compile(r"\d…|…\d")


def printed(table, width):
    file = io.StringIO()
    Console(file=file, width=width, markup=False, highlight=False).print(table, crop=False)
    return file.getvalue().splitlines()


def body(lines):
    return [line for line in lines if line.startswith("│")]


def check(tables, width):
    """Every row is one line that fits, and no number is cut."""
    found = [each for each in tables if isinstance(each, FittedTable)]
    assert found
    for table in found:
        lines = printed(table, width)
        assert len(body(lines)) == len(table.rows)
        assert all(cell_len(line) <= width for line in lines if line[0] in "│┃┏┡└")
        assert not any(CUT_NUMBER.search(line) for line in body(lines))


def wide_table():
    columns = (Column("method", text=True), Column("mIoU"), Column("boundary IoU", 1), Column("peak memory", 2))
    table = FittedTable("3 images", columns)
    table.add_row("a-method-with-a-rather-long-name", "12.3", "45.6", "123456")
    table.add_row("box", "100.0", "-", "7")
    return table


def test_a_wide_terminal_shows_all_columns_with_headings_on_one_line():
    lines = printed(wide_table(), 120)
    assert lines[0] == "3 images"
    assert "method" in lines[2]
    assert "boundary IoU" in lines[2]
    assert "A wider terminal" not in "".join(lines)


def test_headings_are_broken_before_columns_are_left_out():
    lines = printed(wide_table(), 70)
    assert "boundary" in "".join(lines)
    assert "boundary IoU" not in "".join(lines)
    assert "123456" in "".join(lines)


def test_columns_are_left_out_by_priority_and_named():
    lines = printed(wide_table(), 56)
    assert "123456" not in "".join(lines)
    assert "45.6" in "".join(lines)
    assert lines[-1] == "A wider terminal or --json shows: peak memory"


def test_text_is_shortened_last_and_numbers_never():
    lines = printed(wide_table(), 30)
    assert lines[-1].endswith("shows: boundary IoU, peak memory")
    assert any("a-method-" in line and "…" in line and "12.3" in line for line in lines)
    lines = printed(wide_table(), 8)
    assert any("12.3" in line for line in lines)
    assert any("100.0" in line for line in lines)


def test_wide_characters_are_measured_as_the_terminal_shows_them():
    table = FittedTable("", (Column("class", text=True), Column("AP")))
    table.add_row("犬" * 40, "12.3")
    for width in WIDTHS:
        lines = printed(table, width)
        assert all(cell_len(line) <= width for line in lines)
        assert len(body(lines)) == 1


def test_square_brackets_are_text():
    table = FittedTable("[bold]", (Column("[red]class", text=True),))
    table.add_row("[/] box [0]")
    text = "\n".join(printed(table, 60))
    for each in ("[bold]", "[red]class", "[/] box [0]"):
        assert each in text


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        FittedTable("", (Column("a"), Column("b"))).add_row("1")


@pytest.mark.parametrize("width", WIDTHS)
def test_scores_of_labels(tiny_labels, shapes_voc, tmp_path, width):
    data = write_true_masks(shutil.copytree(shapes_voc, tmp_path / "voc"))
    check(score_tables(bana.evaluate(tiny_labels, data, quiet=True)), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_contents_of_a_data_set(width):
    check(check_tables(bana.check(FOLDER, quiet=True)), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_comparison(width):
    names = {name: method_of(name) for name in ALL}
    figures = dict.fromkeys(("miou", "miou_of_all", "ignored_share", "boundary_iou"), 52.34)
    scores = {name: {**figures, "instances": {"ap": 100.0, "ap50": 100.0}} for name in names}
    needed = {each for method in names.values() for each in method.needs}
    costs = {each: {"seconds_per_image": 12.345, "peak_memory": 2**31} for each in needed}
    result = Comparison(sample_dataset(), names, scores, costs, {}, {"mcg": "cannot be had"})
    options = dict.fromkeys(
        ("split", "truth", "max_images", "seed", "format", "sam_encoder", "sam_decoder", "preset", "labeler"), None
    )
    check(comparison_tables(result, options | {"data": "d"}, ["image_side=900"]), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_of_the_paper(width):
    seeds = {seed: {"plain": miou, "crf": miou} for seed, miou in enumerate((61.23, 62.34, 63.45))}
    ours = dict.fromkeys(TABLES["table3"], seeds)
    check(reproduction_tables(Reproduction("table3", ours)), width)
    figures = dict.fromkeys(FIGURES, 22.22)
    objects = {name: dict.fromkeys(range(3), figures) for name in OBJECT_TABLES["table6"]}
    check(reproduction_tables(Reproduction("table6", objects)), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_demonstration(tmp_path, width):
    dataset = sample_dataset()
    dataset = replace(dataset, records=dataset.records[:3])
    run = label_dataset(dataset, MethodChoice("box"), tmp_path, workers=1, console=Console(quiet=True))
    check(demo_tables(Demo(dataset, run, evaluate_labels(tmp_path, dataset, boundary=False), tmp_path)), width)
