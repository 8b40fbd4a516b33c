"""docs/notebook.ipynb: what is kept of it, and that every cell of it runs."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs/notebook.ipynb"


def printed(cells):
    """What the cells of code printed, without what went to standard error."""
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def test_it_has_15_cells_and_its_pictures_and_is_small():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert len(cells) == 15
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) == 3
    assert not any(output.output_type == "error" for output in outputs)
    assert NOTEBOOK.stat().st_size < 1e6
    assert not re.search(r"/(tmp|home|root|work|Users)/", NOTEBOOK.read_text())


@pytest.mark.slow
def test_every_cell_runs_and_the_network_finds_people(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # for the command bana
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = printed(notebook.cells)
    rows = dict(re.findall(r"^(box|y_crf|y_ret|agreed) +mIoU (\d+\.\d)", text, re.MULTILINE))
    assert float(rows["y_crf"]) > float(rows["box"]) + 10
    network, nothing = map(float, re.search(r"mIoU (\S+) without boxes; .* background (\S+)", text).groups())
    assert network > nothing + 20
    assert (tmp_path / "people/network.pt").is_file()
