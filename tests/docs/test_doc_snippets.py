"""The Python of the README and the documentation, executed page by page."""

import warnings

import numpy as np
import pytest
import torch

from densecrf import DenseCRF
from doc_blocks import ROOT, snippets
from shapes_data import IMAGES, draw

NOT_RUN = {"theirs": "pydensecrf, which has to be compiled"}
"""Names whose snippets are compiled alone, each with what it stands for."""

ELSEWHERE = {
    "docs/howto/cvat.md": "needs datumaro",
    "docs/howto/label-studio.md": "needs Label Studio's packages",
    "docs/howto/fiftyone.md": "needs FiftyOne",
    "docs/howto/supervision.md": "needs supervision",
}
"""Pages whose snippets are compiled alone: other tests run them, where the packages are installed."""

OBJECT_PAGES = ("README.md",)
"""Pages whose snippets mean by ``network`` one that finds objects."""

ALL = snippets()


def shape_and_boxes() -> dict[str, object]:
    """An image of two boxes, whose classes are the labeler's first two."""
    size, shapes = IMAGES["b"]
    boxes = np.array([box for _, box in shapes], dtype=np.float32)
    return {"image": draw(size, shapes, seed=1), "boxes": boxes, "class_ids": np.array([1, 2])}


def crf_arguments() -> dict[str, object]:
    """An image of 24 x 32 pixels and two labels."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    p = generator.dirichlet((1, 1), (24, 32)).transpose(2, 0, 1).astype(np.float32)
    some = generator.random((24, 32)) < 0.3
    return {
        "image": image, "p": p, "u": -np.log(p), "v": -np.log(p[::-1]), "outside": some, "unknown": some,
        "images": [image, image], "unaries": [-np.log(p)] * 2, "memmap": np.zeros_like(p), "cost": -np.eye(2),
    }  # fmt: skip


def crf_result() -> dict[str, object]:
    """What the mean field gives for them."""
    given = crf_arguments()
    return {"result": DenseCRF().infer(given["image"], unary=given["u"])}


def loss_arguments() -> dict[str, object]:
    """Cosines of one image of 8 x 8 pixels and three classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, 1, 8, 8), generator=generator)
    return {"cosine": torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1, "y_crf": labels[0], "y_ret": labels[1]}


GIVEN = {
    "README.md": shape_and_boxes,
    "docs/index.md": shape_and_boxes,
    "docs/tutorial.md": shape_and_boxes,
    "docs/howto/video.md": shape_and_boxes,
    "docs/howto/own-data.md": lambda: {"image": np.full((300, 500, 3), 128, dtype=np.uint8)},
    "docs/howto/points.md": lambda: {"image": np.full((300, 500, 3), 128, dtype=np.uint8)},
    "docs/crf.md": crf_arguments,
    "docs/migration.md": crf_result,
    "docs/segmentation.md": loss_arguments,
}
"""What a page's snippets take for given."""


@pytest.mark.parametrize("page", ALL)
def test_the_snippets_of_a_page_run(page, world, tmp_path, monkeypatch):
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    if page in OBJECT_PAGES:
        (tmp_path / "network").unlink()
        (tmp_path / "network").symlink_to(world / "detector")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = GIVEN.get(page, dict)()
    with warnings.catch_warnings():
        warnings.simplefilter("error", category=DeprecationWarning)
        for block in ALL[page]:
            code = compile(block.text, str(block), "exec")
            if page not in ELSEWHERE and not any(name in block.text for name in NOT_RUN):
                exec(code, names)


def test_snippets_and_what_is_given_are_of_today():
    assert GIVEN.keys() | set(OBJECT_PAGES) <= ALL.keys()
    assert all((ROOT / page).is_file() for page in ELSEWHERE)
    texts = [block.text for blocks in ALL.values() for block in blocks]
    assert all(any(name in text for text in texts) for name in NOT_RUN)
