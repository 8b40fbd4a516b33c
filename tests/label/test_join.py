import pytest

from bana import Labeler
from bana.classify.model import LABELER
from bana.engine.checkpoint import save_tensors
from bana.errors import CheckpointError
from bana.label.join import join_refiner
from bana.nn.network_file import NetworkFacts
from bana.refine.model import REFINER
from bana.refine.settings import RefineSettings
from shapes_data import CLASSES

SETTINGS = RefineSettings(backbone="lite0", train_backbone="none", crop_size=33)


@pytest.fixture
def refiner(tmp_path):
    """The file of an untrained refiner."""
    file = tmp_path / "run" / REFINER.file_name
    file.parent.mkdir()
    REFINER.save(file, REFINER.build(SETTINGS, 3, seed=1), NetworkFacts(CLASSES, SETTINGS))
    return file


@pytest.fixture
def labeler(tiny_settings, tmp_path):
    """The run folder of an untrained labeler that does not refine."""
    facts = NetworkFacts(CLASSES, tiny_settings, label={"image_side": 129, "refine": False})
    (tmp_path / "labeler").mkdir()
    LABELER.save(tmp_path / "labeler" / LABELER.file_name, LABELER.build(tiny_settings, 3, seed=1), facts)
    return tmp_path / "labeler"


def test_a_labeler_with_a_refiner_refines_and_keeps_its_other_settings(refiner, labeler):
    file = join_refiner(refiner, labeler, refiner.parent)
    assert file == refiner.parent / LABELER.file_name
    joined, before = Labeler.load(refiner.parent), Labeler.load(labeler)
    assert joined.settings == before.settings.with_options(refine=True)
    assert joined.classes == before.classes
    assert joined.refiner.settings == SETTINGS
    assert before.refiner is None


def test_the_default_is_bana_s_own_labeler(refiner, tmp_path):
    join_refiner(refiner, None, tmp_path)
    joined = Labeler.load(tmp_path)
    assert joined.classes == Labeler.pretrained().classes
    assert joined.refiner.settings == SETTINGS


def test_what_is_no_labeler_gets_no_refiner(refiner, labeler, tmp_path):
    with pytest.raises(CheckpointError, match=r"refiner\.safetensors: not a labeler"):
        join_refiner(refiner, refiner, tmp_path)
    with pytest.raises(CheckpointError, match=r"labeler\.safetensors: not a refiner"):
        join_refiner(labeler / LABELER.file_name, labeler, tmp_path)
    save_tensors(tmp_path / "other.safetensors", {}, {"kind": "segmenter"})
    with pytest.raises(CheckpointError, match=r"other\.safetensors: not a labeler"):
        join_refiner(refiner, tmp_path / "other.safetensors", tmp_path)
    assert not (tmp_path / LABELER.file_name).exists()
