"""Workers forked from a process that has imported already."""

import json
import multiprocessing
import subprocess
import sys

import pytest

from bana.engine.forkserver import worker_context

SCRIPT = """
import json, sys
from bana.engine.forkserver import begin_imports, worker_context

def imported(name):
    return name in sys.modules

if __name__ == "__main__":
    begin_imports("{module}")
    with worker_context().Pool(1) as pool:
        print(json.dumps([worker_context().get_start_method(), pool.apply(imported, ("bana.data.reduction",))]))
"""


def test_workers_start_by_themselves_unless_told_otherwise():
    assert worker_context().get_start_method() == "spawn"


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="the system cannot fork")
@pytest.mark.parametrize(("module", "there"), [("bana.data.reduction", True), ("json", False)])
def test_workers_have_what_was_imported_for_them(module, there, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(module=module))
    answer = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == ["forkserver", there]
