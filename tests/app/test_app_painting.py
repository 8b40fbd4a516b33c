"""What is painted and erased, as pure functions of drafts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bana.app.drafts import Draft, DraftObject
from bana.app.painting import erased, label_maps, masks_of, painted, unpainted
from bana.data.masks import decode_mask, encode_mask
from bana.data.objects import AnnotatedObject, make_record
from bana.data.records import ClassTable
from bana.data.videos import VideoFrame
from bana.errors import DataError

HEIGHT, WIDTH = 6, 8
TABLE = ClassTable(("cat", "dog"))
RECORD = make_record("one", Path("one.jpg"), (WIDTH, HEIGHT), [])


def pixels(*where):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for rows, columns in where:
        mask[rows, columns] = True
    return mask


LEFT = pixels((slice(0, 4), slice(0, 3)))
RIGHT = pixels((slice(0, 4), slice(4, 7)))
STROKE = pixels((slice(1, 3), slice(2, 6)))


@pytest.fixture
def draft():
    """Two boxes that overlap, a crowd region, and a second label that gives a pixel of the first to the background."""
    crowd = DraftObject(2, 1, (0, 5, 8, 6), encode_mask(pixels((5, slice(0, 8)))), 0.0, crowd=True)
    first = DraftObject(0, 1, (0, 0, 6, 5), encode_mask(LEFT), 0.5)
    second = DraftObject(1, 2, (3, 0, 8, 5), encode_mask(RIGHT), 0.7)
    retrieved = {1: encode_mask(LEFT & ~pixels((0, 0))), 2: encode_mask(RIGHT)}
    return Draft((first, second, crowd), retrieved, 3)


def masks(draft):
    return [decode_mask(each, HEIGHT, WIDTH) for each in masks_of(draft)]


def test_a_painted_pixel_is_its_objects_and_no_other_s(draft):
    first, second, crowd = masks(painted(draft, 0, STROKE))
    assert (first == LEFT | STROKE).all()  # the stroke is inside the first box
    assert (second == RIGHT & ~STROKE).all()
    assert (crowd == pixels((5, slice(0, 8)))).all()


def test_a_stroke_counts_inside_the_box_alone(draft):
    everywhere = np.ones((HEIGHT, WIDTH), dtype=bool)
    first, second, _ = masks(painted(draft, 0, everywhere))
    assert (first == pixels((slice(0, 5), slice(0, 6)))).all()
    assert (second == RIGHT & ~first).all()


def test_the_last_stroke_has_the_pixels(draft):
    both = painted(painted(draft, 0, STROKE), 1, STROKE)
    first, second, _ = masks(both)
    taken = STROKE & pixels((slice(0, 5), slice(3, 8)))  # inside the second box
    assert (first == (LEFT | STROKE) & ~taken).all()
    assert (second == RIGHT | taken).all()
    assert (masks(unpainted(both, 1))[1] == RIGHT & ~masks(unpainted(both, 1))[0]).all()


def test_erased_pixels_can_be_painted_again(draft):
    gone = erased(draft, 0, LEFT)
    assert not masks(gone)[0].any()
    back = painted(gone, 0, LEFT & STROKE)
    assert (masks(back)[0] == LEFT & STROKE).all()
    assert (masks(unpainted(back, 0))[0] == LEFT).all()


def test_paint_of_a_deleted_object_gives_back_what_it_covered(draft):
    both = painted(draft, 0, STROKE)
    alone = Draft(both.objects[1:], both.retrieved, both.next_key)
    assert (masks(alone)[0] == RIGHT).all()


def test_without_paint_masks_are_what_was_labeled(draft):
    assert [each is kept.mask for each, kept in zip(masks_of(draft), draft.objects, strict=True)] == [True] * 3


def test_crowd_regions_and_unknown_objects_are_not_painted(draft):
    with pytest.raises(DataError, match="crowd region"):
        painted(draft, 2, STROKE)
    with pytest.raises(DataError, match="not in this image"):
        erased(draft, 9, STROKE)


def test_label_maps_agree_where_a_person_has_painted(draft):
    edit = painted(draft, 0, pixels((0, slice(0, 2)), (4, 4)))
    y_crf, y_ret = label_maps(RECORD, edit, masks_of(edit), TABLE)
    expected = np.where(LEFT, 1, np.where(RIGHT, 2, 0))
    expected[4, 4] = 1
    expected[5] = TABLE.ignore_index
    assert (y_crf == expected).all()
    assert (y_ret == expected).all()  # the uncertain pixel was painted over


def test_label_maps_differ_where_the_labels_do(draft):
    y_crf, y_ret = label_maps(RECORD, draft, masks_of(draft), TABLE)
    assert np.argwhere(y_crf != y_ret).tolist() == [[0, 0]]
    accepted = Draft(draft.objects, draft.retrieved, 3, "accepted")
    y_crf, y_ret = label_maps(RECORD, accepted, masks_of(accepted), TABLE)
    assert (y_crf == y_ret).all()  # who accepts an image vouches for all of it


def test_an_object_stays_of_its_track_and_a_new_one_is_of_none(draft):
    first, second, crowd = draft.objects
    objects = [AnnotatedObject((0, 0, 6, 5), 1, track_id=7), AnnotatedObject((3, 0, 8, 5), 2, track_id="x")]
    record = make_record("one", Path("one.jpg"), (WIDTH, HEIGHT), objects, frame=VideoFrame("clip", 3))
    reviewed = replace(draft, objects=(replace(second, origin=1), crowd, replace(first, origin=0)))
    written = reviewed.record(record, masks_of(reviewed))
    assert written.track_ids == ("x", None, 7)
    assert written.frame == VideoFrame("clip", 3)
