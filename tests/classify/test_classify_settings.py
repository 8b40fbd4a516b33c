import pytest

from bana.classify.settings import ClassifySettings
from bana.errors import SettingsError
from bana.label.settings import LabelSettings
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset, parse_settings, preset_names


def message(content, kind=ClassifySettings):
    with pytest.raises(SettingsError) as caught:
        parse_settings(content, kind, "my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", -1),
        ("crop_size", 32),
        ("lr_head", 0),
        ("lr_head", float("nan")),
        ("lr_backbone", float("inf")),
        ("weight_decay", -1),
        ("pooling", "max"),
        ("optimizer", "lbfgs"),
        ("schedule", None),
        ("grid_size", 0),
        ("roi_bins", "two"),
        ("color_jitter", 2),
        ("scale_range", [0, 1]),
        ("scale_range", [1]),
        ("head_width", 0),
        ("no_such_setting", 1),
    ],
)
def test_a_bad_value_is_named(name, value):
    text = message({name: value})
    assert f": {name}" in text
    assert "must be " in text or "no such setting" in text


def test_scale_must_rise():
    assert "scale_range" in message({"scale_range": [1.5, 0.5]})


def test_a_random_backbone_that_is_not_trained_is_refused():
    assert "random" in message({"backbone_weights": "random", "train_backbone": "none"})


@pytest.mark.parametrize("content", [[], "text", 3])
def test_settings_that_are_no_mapping_are_refused(content):
    message(content)


def test_crf_arguments_are_checked_as_the_crf_does():
    assert "bilateral_srgb" in message({"crf": {"bilateral_srgb": -1}}, LabelSettings)
    assert "crf.iterations" in message({"crf": {"iterations": "many"}}, LabelSettings)


def test_the_defaults_are_the_papers_recipe():
    settings = ClassifySettings()
    assert (settings.batch_size, settings.crop_size, settings.epochs, settings.scale_range) == (20, 321, 15, (0.5, 1.5))
    assert (settings.lr_backbone, settings.lr_head, settings.weight_decay) == (1e-3, 1e-2, 5e-4)
    assert (settings.grid_size, settings.roi_bins, settings.pooling) == (4, 2, "bap")
    assert settings.image_side is None
    labeling = LabelSettings()
    assert (labeling.attention_threshold, labeling.refinements) == (0.99, 0)
    assert (labeling.image_side, labeling.low_level, labeling.tightness) == (None, 0, 0)


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_is_valid(name):
    recipe, others = load_preset(name, Recipe), {"small": "lite0", "coco": "vgg16", "vgg16-text": "vgg16"}
    assert recipe.segment.backbone == others.get(name, name)
    assert recipe.classify.backbone == ("vgg16" if name == "resnet101" else recipe.segment.backbone)  # as in Table 5


def test_a_yaml_file_serves_as_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("classify: {epochs: 3}\nlabel: {u0: cam}\n")
    recipe = load_preset(str(file), Recipe)
    assert (recipe.classify.epochs, recipe.label.u0) == (3, "cam")
    file.write_text("")
    assert load_preset(str(file), Recipe) == Recipe()


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"!!python/object/apply:os.system ['false']"])
def test_a_file_that_is_no_preset_is_refused(tmp_path, content):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"mine\.yaml: preset") as caught:
        load_preset(str(file), Recipe)
    assert "\n" not in str(caught.value)


def test_a_missing_preset_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.yaml: preset cannot be read"):
        load_preset(str(tmp_path / "none.yaml"), Recipe)
    with pytest.raises(SettingsError, match="choose one of coco, lite0, "):
        load_preset("lite", Recipe)


def test_settings_cannot_be_changed_and_changes_are_checked():
    with pytest.raises(ValueError, match="frozen"):
        ClassifySettings().epochs = 3
    with pytest.raises(ValueError, match="u0"):
        LabelSettings().with_options(u0="both")
    assert LabelSettings().with_options(u0="cam").u0 == "cam"
