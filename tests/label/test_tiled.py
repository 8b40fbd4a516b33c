"""Labels in tiles: those of the whole image, wherever the tiles end."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bad_data import refused
from bana.data.masks import mask_iou
from bana.data.windows import WholeImage
from bana.errors import SettingsError
from bana.label.boxes import BoxedImage, ImageBoxes
from bana.label.method import LabelingMethod
from bana.label.methods.choose import MethodChoice
from bana.label.methods.masks import MaskMethod, box_masks
from bana.label.tiled import label_in_tiles
from bana.label.tiles import plan_tiles
from shapes_data import draw, write_shapes

CLASSES = ("a", "b", "c")
SIZE = (700, 900)


def scene(seed=0, count=60):
    """An image of noise with boxes of all sizes, some outside it, crowds, turned rectangles and ignored pixels."""
    chance = np.random.default_rng(seed)
    image = chance.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    centers, sides = chance.uniform(0, 1, (count, 2)) * SIZE[::-1], chance.uniform(5, 350, (count, 2))
    boxes = np.concatenate([centers - sides / 2, centers + sides / 2], 1).astype(np.float32)
    boxes[0] += 5000
    ignored = np.zeros(SIZE, bool)
    ignored[100:200, 300:500] = True
    x0, y0, x1, y1 = map(float, boxes[3])
    middle = [(x0 + x1) / 2, y0, x1, (y0 + y1) / 2, (x0 + x1) / 2, y1, x0, (y0 + y1) / 2]
    oriented = [middle if number == 3 else None for number in range(count)]
    given = (boxes, chance.integers(1, 4, count), chance.random(count) < 0.1, ignored)
    return image, given, oriented


def darker_than_box(image, boxed):
    """Masks that depend on nothing but the box's own pixels."""
    gray = image.mean(axis=2)
    return [gray[place] < gray[place].mean() if gray[place].size else gray[place] < 0 for place in boxed.places], None


def both(method, seed, side, turned=True):
    image, given, oriented = scene(seed)
    oriented = oriented if turned else []
    whole = method.label_boxed(image, BoxedImage(image, *given, len(CLASSES), oriented))
    boxes = ImageBoxes(SIZE, *given, len(CLASSES), oriented)
    return whole, label_in_tiles(method, WholeImage(image), boxes, side), boxes


@pytest.mark.parametrize("side", [256, 300, 512, 2000])
@pytest.mark.parametrize("masks", [box_masks, darker_than_box])
def test_tiles_give_the_labels_of_the_whole_image(masks, side):
    for seed in (0, 1):
        whole, tiled, _ = both(MaskMethod(CLASSES, masks), seed, side)
        np.testing.assert_array_equal(tiled.y_crf, whole.y_crf)
        np.testing.assert_array_equal(tiled.y_ret[whole.y_crf > 0], whole.y_ret[whole.y_crf > 0])
        assert (tiled.y_ret == whole.y_ret).mean() > 0.9999  # next to masks, what is cut may be there
        np.testing.assert_allclose(tiled.confidence, whole.confidence)
        for found, wanted in zip(tiled.instances, whole.instances, strict=True):
            np.testing.assert_array_equal(found.box, wanted.box)
            np.testing.assert_array_equal(found.mask, wanted.mask)
            assert (found.status, found.class_id, found.size) == (wanted.status, wanted.class_id, wanted.size)
            assert found.filling_rate == pytest.approx(wanted.filling_rate)
            assert found.agreement == pytest.approx(wanted.agreement, abs=1e-3)


def test_boxes_larger_than_a_tile_are_read_reduced():
    whole, tiled, boxes = both(MaskMethod(CLASSES, box_masks), 0, 64, turned=False)
    assert max(tile.block for tile in plan_tiles(SIZE, boxes.inside, boxes.usable, 64)) > 1
    np.testing.assert_array_equal(tiled.y_crf, whole.y_crf)
    assert all((one.mask == two.mask).all() for one, two in zip(tiled.instances, whole.instances, strict=True))


class Second(LabelingMethod):
    """Confidence and a second label that depend on the tile's pixels."""

    class_table = MaskMethod(CLASSES, box_masks).class_table

    def label_boxed(self, image, boxed):
        found = MaskMethod(CLASSES, darker_than_box).label_boxed(image, boxed)
        second = np.where(image[:, :, 0] < 80, 0, found.y_crf).astype(np.uint8)
        second[boxed.background_mask.numpy()] = found.y_crf[boxed.background_mask.numpy()]
        confidence = np.where(boxed.background_mask.numpy(), 1, image[:, :, 1] / np.float32(255)).astype(np.float32)
        return replace(found, y_ret=second, confidence=confidence)


def test_second_labels_and_confidence_come_from_the_tiles():
    whole, tiled, boxes = both(Second(), 0, 256)
    np.testing.assert_array_equal(tiled.y_crf, whole.y_crf)
    known = ~boxes.ignored
    np.testing.assert_array_equal(tiled.y_ret[known], whole.y_ret[known])
    np.testing.assert_allclose(tiled.confidence[known], whole.confidence[known], atol=0.5 / 255)


def test_a_method_that_looks_at_the_whole_image_is_refused():
    class Whole(Second):
        looks_beyond_boxes = True

    with pytest.raises(SettingsError, match="--tile none"):
        both(Whole(), 0, 256)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A data set of one image of 600 x 500 pixels, with objects all over it, and a small one."""
    chance = np.random.default_rng(0)
    kinds = ("disk", "square")
    shapes = tuple(
        (kinds[(x + y) % 2], (x + int(chance.integers(5)), y, x + 60, y + 55))
        for x in range(15, 520, 95)
        for y in range(20, 430, 90)
    )
    root = tmp_path_factory.mktemp("large") / "voc"
    return write_shapes(root, {"big": ((600, 500), shapes), "small": ((120, 90), (("disk", (30, 20, 80, 70)),))})


@pytest.fixture
def label(run_cli, tiny_run, large, tmp_path):
    def command(out, *more):
        return run_cli("label", large, "--out", tmp_path / out, "--labeler", tiny_run, "--workers", 1, *more)

    return command


def masks(folder, name="big"):
    from bana.data.masks import decode_mask

    entries = json.loads((folder / f"instances/{name}.json").read_text())["instances"]
    return [decode_mask(each["segmentation"], *each["segmentation"]["size"]) for each in entries]


def test_labels_of_tiles_of_any_size_agree_and_small_images_stay_as_they_are(run_cli, large, tmp_path):
    for tile in ("none", "256", "384"):
        given = ("--method", "wssl", "--tile", tile, "--workers", 1)
        assert run_cli("label", large, "--out", tmp_path / tile, *given).status == 0
    small = [(tmp_path / tile / "y_crf/small.png").read_bytes() for tile in ("none", "256", "384")]
    assert small[0] == small[1] == small[2]
    entries = [(tmp_path / tile / "instances/small.json").read_bytes() for tile in ("none", "256", "384")]
    assert entries[0] == entries[1] == entries[2]
    assert (tmp_path / "256/instances/big.json").read_bytes() != (tmp_path / "none/instances/big.json").read_bytes()
    ious = [mask_iou(*pair) for pair in zip(masks(tmp_path / "256"), masks(tmp_path / "384"), strict=True)]
    assert min(ious) > 0.9


def test_labels_in_other_tiles_are_made_anew_and_finished_ones_kept(label, tmp_path):
    assert json.loads(label("out", "--tile", "256", "--json").out)["labeled"] == 2
    assert json.loads(label("out", "--tile", "256", "--json").out)["labeled"] == 0
    assert json.loads(label("out", "--tile", "300", "--json").out)["labeled"] == 1
    assert json.loads(label("out", "--json").out)["labeled"] == 1


def test_a_wrong_tile_is_refused(label, tmp_path):
    refused(label("out", "--tile", "huge"), "tile: 'huge'", "auto, none or 256")
    assert not (tmp_path / "out").exists()


def test_a_tiff_is_labeled_as_the_png_of_its_pixels(run_cli, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    shapes = (("disk", (30, 40, 200, 210)), ("square", (250, 100, 330, 190)))
    for kind in ("tif", "png"):
        root = write_shapes(tmp_path / kind, {"a": ((400, 300), shapes)})
        (root / "JPEGImages/a.jpg").unlink()
        pixels = draw((400, 300), shapes, 0)
        if kind == "tif":
            tifffile.imwrite(root / "JPEGImages/a.tif", pixels, tile=(64, 64), compression="zlib")
        else:
            Image.fromarray(pixels).save(root / "JPEGImages/a.png")
        out = tmp_path / f"{kind}-out"
        assert run_cli("label", root, "--method", "wssl", "--tile", "256", "--workers", 1, "--out", out).status == 0
    for name in ("y_crf", "confidence"):
        assert (tmp_path / f"tif-out/{name}/a.png").read_bytes() == (tmp_path / f"png-out/{name}/a.png").read_bytes()


def test_methods_say_whether_they_can_label_tiles():
    assert not MethodChoice("box").open(CLASSES, 1).looks_beyond_boxes
    assert not MethodChoice("fuse:box,wssl").open(CLASSES, 1).looks_beyond_boxes


def cleared_at_points(image, boxed):
    """Masks of whole boxes, but for the pixels at their points."""
    parts = [np.ones_like(boxed.ignored[place]) for place in boxed.places]
    for part, place, points in zip(parts, boxed.places, boxed.points, strict=True):
        for x, y, is_object in points:
            if part.size:
                part[int(y) - place[0].start, int(x) - place[1].start] = is_object
    return parts, None


def test_points_are_where_they_were_set():
    image, (boxes, ids, _, _), _ = scene(2)
    inside = np.clip(boxes, 0, [SIZE[1], SIZE[0]] * 2)
    middles = (inside[:, :2] + inside[:, 2:]) / 2
    points = [
        [(*middle.tolist(), False)] if np.all(each[2:] - each[:2] > 4) else []
        for middle, each in zip(middles, inside, strict=True)
    ]
    method = MaskMethod(CLASSES, cleared_at_points)
    whole = method.label_boxed(image, BoxedImage(image, boxes, ids, None, None, len(CLASSES), (), points))
    tiled = label_in_tiles(
        method, WholeImage(image), ImageBoxes(SIZE, boxes, ids, None, None, len(CLASSES), (), points), 512
    )
    assert sum(not instance.part.all() for instance in whole.instances) > 40
    assert all((one.mask == two.mask).all() for one, two in zip(tiled.instances, whole.instances, strict=True))
