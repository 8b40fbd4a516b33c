import pytest

from bana.data.class_names import matching_classes

VOC = ("aeroplane", "bicycle", "bird", "boat", "bottle", "motorbike", "pottedplant", "sofa", "tvmonitor", "person")


@pytest.mark.parametrize(
    ("name", "voc"),
    [
        ("airplane", "aeroplane"),
        ("Aeroplane", "aeroplane"),
        ("motorcycle", "motorbike"),
        ("couch", "sofa"),
        ("tv", "tvmonitor"),
        ("TV monitor", "tvmonitor"),
        ("potted plant", "pottedplant"),
        ("potted-plant", "pottedplant"),
        ("potted_plant", "pottedplant"),
        ("PERSON", "person"),
    ],
)
def test_names_that_mean_the_same(name, voc):
    assert matching_classes([name], VOC) == (VOC.index(voc) + 1,)


def test_unknown_names_have_no_class():
    assert matching_classes(["zebra", "bird", ""], VOC) == (None, 3, None)
    assert matching_classes([], VOC) == ()


def test_synonyms_work_in_both_directions():
    assert matching_classes(["aeroplane", "sofa"], ["couch", "airplane"]) == (2, 1)


def test_names_in_other_scripts_are_compared_as_they_are():
    assert matching_classes(["猫", "Straße"], ["犬", "猫", "STRASSE"]) == (2, 3)
