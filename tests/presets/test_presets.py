"""Presets that extend others, and what is said of a setting that is wrong."""

import re

import pytest

from bana.classify.settings import ClassifySettings
from bana.errors import SettingsError
from bana.label.settings import LabelSettings
from bana.pipeline.recipe import Recipe
from bana.presets import change_settings, load_preset, parse_settings
from bana.segment.segmenter import PredictSettings

SMALL = {
    "classify": {
        "backbone": "lite0",
        "image_side": 500,
        "train_backbone": "late",
        "head_width": 256,
        "start": "labeler",
        "optimizer": "adamw",
        "lr_backbone": 0.0001,
        "lr_head": 0.001,
        "schedule": "poly",
        "epochs": 5,
    },
    "label": {
        "image_side": 705,
        "low_level": 1,
        "refinements": 1,
        "tightness": 0.7,
        "instance_aware": True,
        "refine": True,
    },
    "refine": {
        "backbone": "lite2",
        "start": "labeler",
        "lr_backbone": 0.0002,
        "lr_head": 0.0005,
        "epochs": 4,
        "min_side": 8,
    },
    "affinity": {"image_side": 500},
    "segment": {
        "backbone": "lite0",
        "train_backbone": "late",
        "head": "fuse",
        "head_width": 256,
        "start": "labeler",
        "optimizer": "adamw",
        "lr_backbone": 0.0001,
        "lr_head": 0.001,
        "warmup": 0.05,
        "crop_size": 257,
        "scale_range": [0.5, 1.25],
        "magnification": "auto",
        "color_jitter": 0.3,
        "sampling": "balanced",
        "epochs": 9,
        "min_steps": 100,
        "batch_size": 12,
    },
    "instance": {
        "backbone": "lite0",
        "train_backbone": "late",
        "start": "labeler",
        "width": 128,
        "box_samples": 128,
        "optimizer": "adamw",
        "lr_backbone": 0.0001,
        "lr_head": 0.0005,
        "schedule": "poly",
        "epochs": 4,
        "min_steps": 400,
        "batch_size": 4,
        "crop_size": 385,
        "scale_range": [0.75, 1.25],
        "magnification": "auto",
        "color_jitter": 0.2,
    },
}


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return lambda name: load_preset(str(folder / f"{name}.yaml"), Recipe)


def test_small_is_what_it_is_when_it_says_all_of_its_settings():
    assert load_preset("small", Recipe) == Recipe.model_validate(SMALL)


def test_a_key_left_out_is_that_of_the_extended_preset(tmp_path):
    load = write(tmp_path, mine="extends: lite0\nclassify: {epochs: 3}\npredict: {crf: null}\n")
    lite0, mine = load_preset("lite0", Recipe), load("mine")
    assert mine.classify == lite0.classify.model_copy(update={"epochs": 3})
    assert (mine.label, mine.segment, mine.instance) == (lite0.label, lite0.segment, lite0.instance)
    assert mine.predict.crf is None


def test_sections_within_sections_are_merged_key_by_key(tmp_path):
    load = write(
        tmp_path, base="label: {crf: {iterations: 3}}\n", mine="extends: base.yaml\nlabel: {crf: {bilateral_sxy: 30}}\n"
    )
    crf = load("mine").label.crf
    assert (crf.iterations, crf.bilateral_sxy) == (3, 30)


def test_an_empty_section_has_the_defaults_of_the_code(tmp_path):
    assert write(tmp_path, mine="extends: lite0\nsegment:\n")("mine").segment == Recipe().segment


def test_a_chain_of_presets_and_paths_relative_to_the_file(tmp_path):
    (tmp_path / "sub").mkdir()
    load = write(tmp_path, base="extends: small\nlabel: {tightness: 0}\n", mine="extends: sub/middle.yaml\n")
    write(tmp_path / "sub", middle="extends: ../base.yaml\nsegment: {epochs: 2}\n")
    mine = load("mine")
    assert (mine.label.tightness, mine.segment.epochs, mine.classify.start) == (0, 2, "labeler")


def test_an_old_name_in_a_preset_overrides_the_new_name_of_the_extended_one(tmp_path):
    load = write(tmp_path, mine="extends: lite0\nclassify: {rate_new: 0.5}\n")
    assert load("mine").classify.lr_head == 0.5


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"mine": "extends: mine.yaml\n"}, "mine.yaml: extends: goes round in a circle"),
        ({"mine": "extends: other.yaml\n", "other": "extends: mine.yaml\n"}, "other.yaml: extends: goes round"),
        ({"mine": "extends: lite1\n"}, "preset 'lite1' is not known; choose one of coco, lite0, "),
        ({"mine": "extends: nowhere.yaml\n"}, "nowhere.yaml: preset cannot be read"),
        ({"mine": "extends: [lite0]\n"}, "mine.yaml: extends: must be the name of a preset, not ['lite0']"),
        (
            {"mine": "extends: lite0\nsegment: {epochz: 3}\n"},
            "mine.yaml: segment.epochz: no such setting; did you mean",
        ),
    ],
)
def test_presets_that_cannot_be_extended(tmp_path, texts, message):
    with pytest.raises(SettingsError, match=re.escape(message)):
        write(tmp_path, **texts)("mine")


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (ClassifySettings, {"epochz": 3}, "epochz: no such setting; did you mean epochs?"),
        (ClassifySettings, {"qqq": 3}, "qqq: no such setting; there are backbone, "),
        (ClassifySettings, {"epochs": 0}, "epochs: must be at least 1, not 0"),
        (ClassifySettings, {"epochs": "x"}, "epochs: must be a whole number, not 'x'"),
        (ClassifySettings, {"epochs": 1.5}, "epochs: must be a whole number, not 1.5"),
        (ClassifySettings, {"color_jitter": 3}, "color_jitter: must be at least 0 and at most 1, not 3"),
        (ClassifySettings, {"lr_head": float("nan")}, "lr_head: must be a finite number, not nan"),
        (ClassifySettings, {"optimizer": "x"}, "optimizer: must be one of 'sgd', 'adamw', not 'x'"),
        (ClassifySettings, {"backbone": 3}, "backbone: must be text, not 3"),
        (ClassifySettings, {"scale_range": [2, 1]}, "scale_range: the first factor must not exceed the second"),
        (ClassifySettings, 3, "must be a section of settings, not 3"),
        (LabelSettings, {"instance_aware": "maybe"}, "instance_aware: must be true or false, not 'maybe'"),
        (LabelSettings, {"crf": {"iteration": 3}}, "crf.iteration: no such setting; did you mean iterations?"),
        (PredictSettings, {"scales": [0]}, "scales.0: must be greater than 0, not 0"),
        (PredictSettings, {"scales": []}, "scales: must be a list with a length of at least 1, not []"),
    ],
)
def test_a_wrong_setting_is_described_in_plain_words(kind, content, message):
    with pytest.raises(SettingsError, match="^" + re.escape(f"my.yaml: {message}")):
        parse_settings(content, kind, "my.yaml")


def test_changes_leave_what_they_do_not_name():
    settings = load_preset("lite0", Recipe).classify
    assert change_settings(settings, {"epochs": None}) == settings
    assert change_settings(settings, {"epochs": 3}) == settings.model_copy(update={"epochs": 3})
    with pytest.raises(SettingsError, match=re.escape("settings: epochz: no such setting; did you mean epochs?")):
        change_settings(settings, {"epochz": 3})
