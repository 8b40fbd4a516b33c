import errno
import json
import os
import stat

import pytest

from bana.errors import OutputError
from bana.io.files import atomic_file, write_json, write_text


def test_a_file_is_written_whole_with_usual_permissions_and_its_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "käse\n")
    assert path.read_bytes() == "käse\n".encode()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert list(path.parent.iterdir()) == [path]


def write_half(path, error):
    with atomic_file(path) as file:
        file.write(b"half")
        raise error


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError):
        write_half(path, KeyError("x"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written .*No space left"):
        write_half(tmp_path / "a.txt", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_json_is_strict(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"a": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_what_a_killed_writer_left_is_taken_over(tmp_path):
    left = tmp_path / ".a.txt.part"
    left.write_text("half of a long text")
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as first:
        first.write(b"fir")
        with atomic_file(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        first.write(b"st")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / ".a.txt.part").symlink_to(tmp_path / "elsewhere")
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "elsewhere").read_text() == "kept"
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_where_a_file_system_has_no_locks_nothing_is_left(tmp_path, monkeypatch):
    def no_locks(descriptor, *, blocking):
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr("bana.io.files.lock_descriptor", no_locks)
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folder")
def test_a_file_and_then_its_new_name_are_flushed_to_disk(tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def noted(descriptor):
        flushed.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), (tmp_path / "a.txt").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(tmp_path / "a.txt", "x")
    assert flushed == [(False, False), (True, True)]
