import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bana.errors import OutputError
from bana.io.locking import exclusive, lock_folder

HOLDER = """
import sys, time
from pathlib import Path
from bana.io.locking import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder until its input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_holds_is_refused(holder, tmp_path):
    with pytest.raises(OutputError, match="out: another run writes there; wait for it"), lock_folder(tmp_path / "out"):
        pass
    with lock_folder(tmp_path / "other"):
        pass
    holder.communicate("")
    with lock_folder(tmp_path / "out"):
        pass


def test_a_killed_process_holds_nothing(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock_folder(tmp_path / "out"):
        assert list((tmp_path / "out").iterdir()) == []


def test_folders_without_outputs_are_not_left(tmp_path):
    with lock_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a").exists()
    with lock_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").write_text("")
    assert (tmp_path / "a" / "b" / "file").exists()
    (tmp_path / "empty").mkdir()
    with lock_folder(tmp_path / "empty"):
        pass
    assert (tmp_path / "empty").is_dir()


def test_what_cannot_be_a_folder_is_for_others_to_say(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with lock_folder(path):
            pass
    assert (tmp_path / "file").read_text() == "x"


def test_a_decorated_function_holds_its_out_folder(tmp_path):
    @exclusive
    def work(number: int, out: Path, *, inner: bool = False) -> int:
        return work(number + 1, out) if inner else number

    assert work(1, tmp_path / "out") == 1
    assert work(2, out=tmp_path / "out") == 2
    with pytest.raises(OutputError, match="another run"):
        work(3, tmp_path / "out", inner=True)
    assert work.__name__ == "work"


def test_where_no_folder_can_be_opened_a_temporary_file_is_locked(tmp_path, monkeypatch):
    monkeypatch.setattr("bana.io.locking.WINDOWS", True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with lock_folder(tmp_path / "out"):
        assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".lock"]
        with pytest.raises(OutputError, match="another run"), lock_folder(tmp_path / "out"):
            pass
        with lock_folder(tmp_path / "other"):
            pass
    with lock_folder(tmp_path / "out"):
        pass


def test_a_file_system_without_locks_holds_nothing(tmp_path, monkeypatch):
    def no_locks(descriptor, *, blocking):
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr("bana.io.locking.lock_descriptor", no_locks)
    with lock_folder(tmp_path / "out"), lock_folder(tmp_path / "out"):
        assert (tmp_path / "out").is_dir()


def test_a_second_command_in_one_folder_is_refused(run_cli, shapes_voc, tmp_path):
    with lock_folder(tmp_path / "out"):
        answer = run_cli("label", shapes_voc, "--method", "box", "--out", tmp_path / "out", "--workers", 1)
    assert answer.status == 2
    assert "out: another run writes there" in answer.err
    assert not (tmp_path / "out").exists()
