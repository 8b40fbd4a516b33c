import pytest

from bana.data.reading import read_dataset
from bana.errors import SettingsError
from bana.io.shards import Shard


def test_every_image_is_in_one_shard(shapes_voc):
    dataset = read_dataset(shapes_voc)
    for count in (1, 2, 3, 7):
        parts = [dataset.shard(Shard(number, count)) for number in range(1, count + 1)]
        assert sorted(record.image_id for part in parts for record in part) == [record.image_id for record in dataset]
        assert all(part.classes == dataset.classes for part in parts)


def test_shards_are_of_about_one_size_and_stay_the_same():
    names = [f"{number:012d}" for number in range(8000)]
    sizes = [sum(Shard(number, 8).has(name) for name in names) for number in range(1, 9)]
    assert min(sizes) > 900
    assert max(sizes) < 1100
    assert [number for number in range(1, 9) if Shard(number, 8).has("2007_000032")] == [3]


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "a/b", "1/0", "-1/2", "1/2/3", "1.0/2", f"{10**12}/{10**12}"])
def test_what_is_no_shard(text):
    with pytest.raises(SettingsError, match="is no part of a whole"):
        Shard.parse(text)


def test_ranks_of_a_launcher():
    assert Shard.parse("3/8") == Shard(3, 8) == Shard.of_rank({"RANK": "2", "WORLD_SIZE": "8"})
    for environment in ({}, {"RANK": "0"}, {"RANK": "0", "WORLD_SIZE": "1"}, {"RANK": "x", "WORLD_SIZE": "2"}):
        assert Shard.of_rank(environment) is None
