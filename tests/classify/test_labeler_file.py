import json
import pickle

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bana import Labeler, read_dataset
from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.engine.checkpoint import load_tensors, save_tensors
from bana.errors import CheckpointError, SettingsError
from bana.nn.initialization import start_from_labeler
from bana.nn.network_file import NetworkFacts
from shapes_data import CLASSES


def labels_of(labeler, dataset):
    return [labeler(open_record_image(record), record.boxes, record.class_ids) for record in dataset]


def test_saved_and_loaded_it_labels_the_same_to_the_byte(tiny_run, shapes_voc, tmp_path):
    model, facts = LABELER.load(tiny_run)
    LABELER.save(tmp_path / "copy.safetensors", model, facts)
    assert (tmp_path / "copy.safetensors").read_bytes() == (tiny_run / LABELER.file_name).read_bytes()
    dataset = read_dataset(shapes_voc)
    first, second = (
        labels_of(Labeler.load(file, threads=1), dataset) for file in (tiny_run, tmp_path / "copy.safetensors")
    )
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.y_crf, other.y_crf)
        assert np.array_equal(one.y_ret, other.y_ret)
        assert np.array_equal(one.confidence, other.confidence)


def test_a_labeler_file_says_what_it_is(tiny_run, tiny_settings):
    facts = LABELER.load_facts(tiny_run)
    assert facts.classes == CLASSES
    assert facts.settings == tiny_settings
    assert facts.label["image_side"] == 129
    assert facts.training["images"] == 6


def test_a_frozen_backbone_is_not_in_the_file(tiny_run):
    tensors, metadata = load_tensors(tiny_run / LABELER.file_name)
    assert tensors
    assert not any(name.startswith("backbone.") for name in tensors)
    assert metadata["backbone_digest"]
    assert (tiny_run / LABELER.file_name).stat().st_size < 1e6


def stored(state):
    """The state as a labeler file holds it: matrices and kernels in half precision."""
    return {name: value.half().float() if value.ndim > 1 else value for name, value in state.items()}


@pytest.mark.parametrize("part", ["all", "late", "none"])
def test_what_was_trained_of_the_backbone_is_in_the_file(tiny_settings, tmp_path, part):
    weights = "random" if part == "all" else "default"
    settings = tiny_settings.model_copy(update={"train_backbone": part, "backbone_weights": weights})
    model = LABELER.build(settings, 3, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.rand(parameter.shape))
    LABELER.save(tmp_path / "l.safetensors", model, NetworkFacts(CLASSES, settings))
    tensors, _ = load_tensors(tmp_path / "l.safetensors")
    saved = {name for name in tensors if name.startswith("backbone.")}
    parameters = dict(model.named_parameters())
    assert bool(saved) == (part != "none")
    assert ("backbone.network.conv_stem.weight" in saved) == (part == "all")
    assert part == "all" or all(parameters[name].requires_grad for name in saved)
    loaded, _ = LABELER.load(tmp_path / "l.safetensors")
    own, other = stored(model.trained_state()) | model.frozen_state(), loaded.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert not loaded.training


def test_another_frozen_backbone_is_recognized(tiny_run, tmp_path):
    tensors, metadata = load_tensors(tiny_run / LABELER.file_name)
    save_tensors(tmp_path / "l.safetensors", tensors, metadata | {"backbone_digest": "0" * 64})
    with pytest.raises(CheckpointError, match="other weights of lite0"):
        LABELER.load(tmp_path / "l.safetensors")


def test_loading_leaves_the_random_numbers_of_the_caller_alone(tiny_run):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Labeler.load(tiny_run)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_caller_without_gradients_may_build_and_load(tiny_settings, tiny_run, mode):
    with mode():
        model = LABELER.build(tiny_settings.model_copy(update={"train_backbone": "late"}), 3, seed=0)
        Labeler.load(tiny_run)
    model(torch.zeros(1, 3, 65, 65)).sum().backward()
    assert model.classifier.weight.requires_grad


def test_the_seed_makes_the_same_classifier(tiny_settings):
    first, second, third = (LABELER.build(tiny_settings, 3, seed).trained_state() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], third["classifier.weight"])


def test_a_crop_that_does_not_fit_the_backbone(tiny_settings):
    with pytest.raises(SettingsError, match="crop_size: 70 is not a multiple of 32 plus 1"):
        LABELER.build(tiny_settings.model_copy(update={"crop_size": 70}), 3, seed=0)


def missing(path, _):
    path.unlink(missing_ok=True)


def empty(path, _):
    path.write_bytes(b"")


def truncated(path, whole):
    path.write_bytes(whole[: len(whole) // 2])


def noise(path, _):
    path.write_bytes(np.random.default_rng(0).bytes(4000))


def pickled(path, _):
    path.write_bytes(pickle.dumps({"classes": ["cat"]}))


def foreign(path, _):
    save_file({"weight": torch.zeros(3)}, path)


def checkpoint(path, _):
    save_tensors(path, {}, {"steps": 3, "identity": {}})


def listing(path, _):
    save_file({"weight": torch.zeros(3)}, path, {"bana": json.dumps([1, 2])})


def halved(path, _):
    save_tensors(path, {}, {"kind": "labeler", "classes": ["cat"]})


def of_other_classes(path, whole):
    path.write_bytes(whole)
    tensors, metadata = load_tensors(path)
    save_tensors(path, tensors, metadata | {"classes": [*CLASSES, "star"]})


def of_other_settings(path, whole):
    path.write_bytes(whole)
    tensors, metadata = load_tensors(path)
    save_tensors(path, tensors, metadata | {"classify": metadata["classify"] | {"head_width": 8}})


def of_facts(**facts):
    def write(path, whole):
        path.write_bytes(whole)
        tensors, metadata = load_tensors(path)
        settings = facts.pop("classify", {})
        save_tensors(path, tensors, metadata | facts | {"classify": metadata["classify"] | settings})

    return write


def of_a_later_version(path, whole):
    path.write_bytes(whole)
    tensors, metadata = load_tensors(path)
    save_tensors(path, tensors, metadata | {"classify": metadata["classify"] | {"magic": 1}})


@pytest.mark.parametrize(
    "damage",
    [
        missing,
        empty,
        truncated,
        noise,
        pickled,
        foreign,
        checkpoint,
        listing,
        halved,
        of_other_classes,
        of_other_settings,
        of_a_later_version,
        of_facts(classify={"head_width": 100_000}),
        of_facts(classify={"head_width": 2**70}),
        of_facts(classes=3),
        of_facts(classes="abc"),
        of_facts(classes=[1, 2, 3]),
        of_facts(classes=["\ud800", "b", "c"]),
        of_facts(label=[1]),
        of_facts(label="ab"),
        of_facts(training=3),
    ],
)
def test_what_is_no_labeler_is_refused_in_one_line(damage, tiny_run, tmp_path):
    file = tmp_path / "my.safetensors"
    damage(file, (tiny_run / LABELER.file_name).read_bytes())
    with pytest.raises(CheckpointError, match=r"my\.safetensors") as caught:
        Labeler.load(file)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_labeler_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"labeler\.safetensors: no such file"):
        Labeler.load(tmp_path)


def test_a_pickle_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError):
        Labeler.load(tmp_path / "evil.safetensors")
    assert not (tmp_path / "executed").exists()


def test_the_file_holds_no_pickle(tiny_run):
    with safe_open(tiny_run / LABELER.file_name, "pt") as file:
        assert json.loads(file.metadata()["bana"])["kind"] == "labeler"


def test_a_labeler_of_other_backbone_weights_is_no_start(tiny_settings, tmp_path):
    other = tiny_settings.model_copy(update={"backbone_weights": "random"})
    labeler = LABELER.build(other, 3, seed=1)
    given = tiny_settings.model_copy(update={"backbone_weights": str(tmp_path / "network.pt")})
    torch.save(labeler.backbone.network.state_dict(), tmp_path / "network.pt")
    labeler = LABELER.build(given, 3, seed=1)
    LABELER.save(tmp_path / "l.safetensors", labeler, NetworkFacts(CLASSES, given))
    network = LABELER.build(tiny_settings, 3, seed=1)
    with pytest.raises(SettingsError, match="was trained on other weights of lite0; set backbone_weights alike"):
        start_from_labeler(network, CLASSES, tiny_settings, tmp_path / "l.safetensors")
    same = LABELER.build(given, 3, seed=2)
    start_from_labeler(same, CLASSES, given, tmp_path / "l.safetensors")
    assert torch.allclose(same.class_weights, labeler.class_weights, atol=1e-3)
