import itertools
import json

import pytest

from bana.errors import DataError
from bana.io import strict_json
from bana.io.strict_json import json_list_entries


def entries_of(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(json_list_entries(path))


LISTS = [
    [],
    [1, 234567, -1.5e300, True, None],
    [{"a": [1, {"b": ']}, \\" é\U0001f600'}]}, [], {}, "text", [[1], 2]] * 3,
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("content", LISTS, ids=["empty", "numbers", "nested"])
def test_entries_wherever_chunks_end(tmp_path, monkeypatch, content, indent, chunk):
    monkeypatch.setattr(strict_json, "_CHUNK", chunk)
    for ascii_only in (True, False):
        text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
        assert entries_of(tmp_path / "list.json", f" {text}\n") == content


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_encodings_of_json(tmp_path, encoding):
    assert entries_of(tmp_path / "list.json", '["é", 1]'.encode(encoding)) == ["é", 1]


def test_entries_come_before_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(strict_json, "_CHUNK", 16)
    (tmp_path / "list.json").write_text("[" + "1234, " * 100 + "oh")
    assert list(itertools.islice(json_list_entries(tmp_path / "list.json"), 90)) == [1234] * 90


BAD = {
    "empty": ("", "is not a JSON list (it is empty)"),
    "an object": ('{"a": 1}', "is not a JSON list (it begins with '{')"),
    "no end": ("[1,\n2", "line 2: is not JSON (the list does not go on)"),
    "an entry without end": ('[1,\n\n{"a": 1', "line 3: is not JSON"),
    "no comma": ("[1\n2]", "line 2: is not JSON (the list does not go on)"),
    "a comma too many": ("[1,\n]", "line 2: is not JSON"),
    "a comma alone": ("[,]", "line 1: is not JSON"),
    "more after the list": ("[1]\n\n[2]", "line 3: is not JSON (the list is followed by something)"),
    "infinity": ("[1, -Infinity]", "entry 1 is not strict JSON (-Infinity is not allowed)"),
    "a well": ("[" * 100_000, "entry 0 is not strict JSON"),
    "latin-1": ('["é"]'.encode("latin-1"), "is not UTF-8 text"),
}


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_bad_lists_are_refused_with_the_place(tmp_path, monkeypatch, content, said, chunk):
    monkeypatch.setattr(strict_json, "_CHUNK", chunk)
    with pytest.raises(DataError) as raised:
        entries_of(tmp_path / "list.json", content)
    assert str(raised.value).startswith(f"{tmp_path / 'list.json'}: {said}")


def test_a_missing_list(tmp_path):
    with pytest.raises(DataError, match=r"no\.json: cannot be read \(No such file"):
        list(json_list_entries(tmp_path / "no.json"))
