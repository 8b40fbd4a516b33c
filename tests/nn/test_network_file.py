"""Files of networks that have another network as a part."""

import pytest
import torch

from bana.classify.model import LABELER
from bana.engine.checkpoint import load_metadata, load_tensors, save_tensors
from bana.errors import CheckpointError
from bana.nn.network_file import NetworkFacts, join_networks
from bana.refine.model import REFINER
from bana.refine.settings import RefineSettings
from shapes_data import CLASSES

SETTINGS = RefineSettings(backbone="lite0", train_backbone="late", crop_size=33)


@pytest.fixture(scope="module")
def networks(tiny_settings, tmp_path_factory):
    """A folder of untrained networks: a labeler, and two refiners, of which the second is built otherwise."""
    folder = tmp_path_factory.mktemp("networks")
    labeler = LABELER.build(tiny_settings, 3, seed=1)
    facts = NetworkFacts(CLASSES, tiny_settings, {"seed": 1}, {"image_side": 129})
    LABELER.save(folder / "labeler.safetensors", labeler, facts)
    for name, settings in (("first", SETTINGS), ("second", SETTINGS.model_copy(update={"train_backbone": "none"}))):
        refiner = REFINER.build(settings, 3, seed=2)
        REFINER.save(folder / f"{name}.safetensors", refiner, NetworkFacts(CLASSES, settings, {"name": name}))
    return folder


@pytest.fixture
def joined(networks, tmp_path):
    """A labeler's file that has a refiner."""
    file = tmp_path / "joined.safetensors"
    join_networks(networks / "labeler.safetensors", networks / "first.safetensors", REFINER, file)
    return file


def same(first, second):
    """Whether two networks have the same tensors."""
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_labeler_of_a_joined_file_is_the_one_that_it_was(networks, joined):
    (own, facts), (expected, expected_facts) = LABELER.load(joined), LABELER.load(networks / "labeler.safetensors")
    assert same(own, expected)
    assert facts == expected_facts
    assert LABELER.matches(joined)
    assert not REFINER.matches(joined)


def test_the_refiner_of_a_joined_file_is_the_one_that_it_was(networks, joined):
    (own, facts), (expected, expected_facts) = REFINER.load(joined), REFINER.load(networks / "first.safetensors")
    assert same(own, expected)
    assert facts == expected_facts
    assert REFINER.load_facts(joined).settings == SETTINGS
    assert REFINER.is_in(joined)
    assert LABELER.is_in(joined)


def test_a_file_has_the_networks_that_it_has(networks):
    assert not REFINER.is_in(networks / "labeler.safetensors")
    assert REFINER.is_in(networks / "first.safetensors")
    assert not LABELER.is_in(networks / "first.safetensors")
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        REFINER.is_in(networks / "none.safetensors")


def test_a_part_is_replaced(networks, joined, tmp_path):
    join_networks(joined, networks / "second.safetensors", REFINER, joined)
    fresh = tmp_path / "fresh.safetensors"
    join_networks(networks / "labeler.safetensors", networks / "second.safetensors", REFINER, fresh)
    assert joined.read_bytes() == fresh.read_bytes()
    assert REFINER.load(joined)[1].training == {"name": "second"}
    assert not any("backbone" in name for name in load_tensors(joined)[0] if name.startswith("refiner/"))


def test_a_part_of_a_joined_file_is_joined_to_another(networks, joined, tmp_path):
    copy = tmp_path / "copy.safetensors"
    join_networks(networks / "labeler.safetensors", joined, REFINER, copy)
    assert copy.read_bytes() == joined.read_bytes()


def test_metadata_of_the_new_file_may_differ(networks, tmp_path):
    file = tmp_path / "joined.safetensors"
    join_networks(
        networks / "labeler.safetensors", networks / "first.safetensors", REFINER, file, label={"refine": True}
    )
    assert LABELER.load_facts(file).label == {"refine": True}
    assert LABELER.load_facts(networks / "labeler.safetensors").label == {"image_side": 129}


def test_a_joined_file_is_a_start_of_other_networks(joined, networks, tiny_settings):
    """What starts from a labeler takes the labeler's tensors and not those of its part."""
    (tensors, _), (expected, _) = LABELER.read(joined), LABELER.read(networks / "labeler.safetensors")
    assert tensors.keys() == expected.keys()
    part, facts = REFINER.read(joined)
    assert facts["kind"] == "refiner"
    assert part.keys() == REFINER.read(networks / "first.safetensors")[0].keys()
    assert tensors.keys() & part.keys()  # their names are alike: both have a head


def test_a_file_without_the_part_is_refused_in_one_line(networks, tmp_path):
    plain = networks / "labeler.safetensors"
    for refused in (REFINER.load, REFINER.load_facts, REFINER.read, REFINER.read_metadata):
        with pytest.raises(CheckpointError, match=r"not a refiner; choose a refiner\.safetensors") as caught:
            refused(plain)
        assert "\n" not in str(caught.value)
        assert "`bana refine`" in str(caught.value)
    with pytest.raises(CheckpointError, match="not a refiner"):
        join_networks(plain, plain, REFINER, tmp_path / "out.safetensors")
    with pytest.raises(CheckpointError, match="not a labeler"):
        LABELER.load(networks / "first.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def without_a_tensor(tensors, metadata):
    name = next(name for name in tensors if name.startswith("refiner/"))
    return {key: value for key, value in tensors.items() if key != name}, metadata


def without_tensors(tensors, metadata):
    return {key: value for key, value in tensors.items() if "/" not in key}, metadata


def of_another_shape(tensors, metadata):
    return tensors | {"refiner/head.output.weight": torch.zeros(3)}, metadata


def with_part(**changes):
    def damage(tensors, metadata):
        part = metadata["parts"]["refiner"] | changes
        return tensors, metadata | {"parts": {"refiner": {key: each for key, each in part.items() if each != "gone"}}}

    return damage


def of_no_parts(parts):
    return lambda tensors, metadata: (tensors, metadata | {"parts": parts})


@pytest.mark.parametrize(
    "damage",
    [
        without_a_tensor,
        without_tensors,
        of_another_shape,
        with_part(refine={"backbone": 3}),
        with_part(refine="gone"),
        with_part(classes="gone"),
        with_part(training=3),
        with_part(backbone_digest="0" * 64),
        of_no_parts([1]),
        of_no_parts({"refiner": "mine"}),
        of_no_parts({"refiner": {}}),
        of_no_parts({}),
    ],
)
def test_a_damaged_part_is_refused_in_one_line_and_the_rest_is_whole(damage, joined):
    tensors, metadata = damage(*load_tensors(joined))
    save_tensors(joined, tensors, metadata)
    with pytest.raises(CheckpointError, match=r"joined\.safetensors") as caught:
        REFINER.load(joined)
    assert "\n" not in str(caught.value)
    LABELER.load(joined)


@pytest.mark.parametrize("parts", [{}, [1], {"refiner": "mine"}, {"refiner": [1]}])
def test_parts_that_are_no_networks_are_none(parts, joined):
    tensors, metadata = load_tensors(joined)
    save_tensors(joined, tensors, metadata | {"parts": parts})
    with pytest.raises(CheckpointError, match="not a refiner"):
        REFINER.read_metadata(joined)


def test_a_torn_file_is_no_part(networks, joined, tmp_path):
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes((networks / "first.safetensors").read_bytes()[:-9])
    before = joined.read_bytes()
    with pytest.raises(CheckpointError, match=r"torn\.safetensors"):
        join_networks(joined, torn, REFINER, joined)
    with pytest.raises(CheckpointError, match=r"torn\.safetensors"):
        join_networks(torn, networks / "first.safetensors", REFINER, joined)
    assert joined.read_bytes() == before


def test_run_folders_are_searched_for_each_stage(tmp_path):
    """A run of `bana run` has a labeler of two stages; the one with a refiner counts."""
    for folder in ("classify", "refine"):
        assert LABELER.path(tmp_path) == tmp_path / "labeler.safetensors"
        assert LABELER.path(tmp_path / "file") == tmp_path / "file"
        (tmp_path / folder).mkdir()
    (tmp_path / "classify/labeler.safetensors").write_text("")
    assert LABELER.path(tmp_path) == tmp_path / "classify/labeler.safetensors"
    (tmp_path / "refine/labeler.safetensors").write_text("")
    assert LABELER.path(tmp_path) == tmp_path / "refine/labeler.safetensors"
    (tmp_path / "refine/refiner.safetensors").write_text("")
    assert REFINER.path(tmp_path) == tmp_path / "refine/refiner.safetensors"


def test_the_metadata_of_a_joined_file_name_both_networks(joined):
    metadata = load_metadata(joined)
    assert metadata["kind"] == "labeler"
    assert metadata["parts"].keys() == {"refiner"}
    assert metadata["parts"]["refiner"]["kind"] == "refiner"
