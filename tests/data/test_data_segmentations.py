import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bana.data.objects import AnnotatedObject, make_record
from bana.data.segmentations import pack, packed_if_polygons, unpack

POLYGONS = [[0.1, 2.0, 3.25, 4.0, 1 / 3, 6.0], [1e-300, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]
RLE = {"size": [2, 3], "counts": "15"}
OF_OBJECTS = (POLYGONS, None, RLE)


def record_of(segmentations):
    objects = [AnnotatedObject((0, 0, 1, 1), 1, segmentation=each) for each in segmentations]
    return make_record("a", Path("a.jpg"), (3, 2), objects)


def test_polygons_are_the_same_after_packing():
    assert unpack(pack(POLYGONS)) == POLYGONS
    assert sum(map(len, pack(POLYGONS))) == 8 * 14


def test_a_record_gives_the_segmentations_that_it_was_made_of():
    record = record_of(OF_OBJECTS)
    assert record.segmentations == OF_OBJECTS
    assert record_of([pack(POLYGONS), None, RLE]).segmentations == OF_OBJECTS
    assert json.dumps(record.segmentations) == json.dumps(OF_OBJECTS)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, replace, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_of_a_record_has_its_segmentations(again):
    assert again(record_of(OF_OBJECTS)).segmentations == OF_OBJECTS


def test_segmentations_can_be_replaced_but_not_left_out():
    record = record_of(OF_OBJECTS)
    assert replace(record, segmentations=(None,) * 3).segmentations == (None,) * 3
    with pytest.raises(TypeError, match="segmentations"):
        type(record)("a", Path("a.jpg"), 3, 2, np.zeros((0, 4)), np.zeros(0), np.zeros(0), np.zeros(0))


@pytest.mark.parametrize("value", [[1.0], [[1, True]], [[1, "2"]], [[1, 2], None], [[10**400]], [[[1, 2]]], [{}]])
def test_what_is_no_list_of_polygons_stays_as_it_is(value):
    assert packed_if_polygons(value) is value
