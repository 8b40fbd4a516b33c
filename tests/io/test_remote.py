import fsspec
import pytest

from bana.errors import OutputError, SettingsError
from bana.io.files import write_bytes
from bana.io.remote import RemotePath, parse_path


def test_what_a_user_names(tmp_path):
    assert parse_path("data/voc") == parse_path("./data/voc")
    assert parse_path(f"file://{tmp_path}") == tmp_path
    assert parse_path("s3://bucket/data/") == RemotePath("s3://bucket/data")
    path = parse_path("gs://bucket/data") / "a" / "b.json"
    assert (str(path), path.name, str(path.parent)) == ("gs://bucket/data/a/b.json", "b.json", "gs://bucket/data/a")


@pytest.mark.parametrize("where", ["memory://remote", "s3://stand-in/remote"])
def test_files_are_written_listed_and_read(s3, where, tmp_path):
    folder = parse_path(where)
    assert folder.files() == []
    assert not (folder / "x/b").exists()
    for name in ("x/b", "a #1.txt"):
        write_bytes(folder / name, name.encode())
    assert folder.files() == ["a #1.txt", "x/b"]
    assert (folder / "x/b").files() == [""]
    assert (folder / "x/b").exists()
    assert (folder / "x/b").read_bytes() == b"x/b"
    folder.fetch(folder.files(), tmp_path)
    assert (tmp_path / "a #1.txt").read_bytes() == b"a #1.txt"
    with pytest.raises(FileNotFoundError):
        (folder / "none").read_bytes()


def test_what_cannot_be_written_is_named(s3):
    with pytest.raises(
        OutputError, match=r"s3://no-such-bucket/a: cannot be written \(.*bucket does not exist.*\); check"
    ):
        write_bytes(parse_path("s3://no-such-bucket/a"), b"")


def test_trouble_is_not_taken_for_a_file_that_is_not_there(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no way there")

    monkeypatch.setattr(fsspec.filesystem("memory"), "info", refuse)
    with pytest.raises(OSError, match="no way there"):
        parse_path("memory://remote/a").exists()


def test_addresses_that_nothing_opens(monkeypatch):
    with pytest.raises(SettingsError, match=r"tapes://a: cannot be opened .*tapes.*; give a path"):
        parse_path("tapes://a").exists()
    fsspec.register_implementation("tapes", "no_such_package.Tapes", errtxt="Install no_such_package to read tapes")
    with pytest.raises(SettingsError, match=r"tapes://a: cannot be opened \(Install no_such_package to read tapes"):
        parse_path("tapes://a").exists()
