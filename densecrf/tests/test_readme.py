"""The README's Python runs."""

import re
from pathlib import Path

import numpy as np
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def given() -> dict[str, object]:
    """What the snippets take for given: an image of 24 x 32 pixels and two labels."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    p = generator.dirichlet((1, 1), (24, 32)).transpose(2, 0, 1).astype(np.float32)
    some = generator.random((24, 32)) < 0.3
    u, v = -np.log(p), -np.log(p[::-1])
    sizes = {"height": 24, "width": 32, "labels": 2}
    masks = {"outside": some, "unknown": some}
    return {"image": image, "p": p, "u": u, "v": v, "images": [image] * 2, "unaries": [u, v], **sizes, **masks} | {
        "memmap": np.zeros_like(p),
        "cost": -np.eye(2),
    }


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs(snippet):
    exec(compile(snippet, "README.md", "exec"), given())


def test_there_are_snippets():
    assert len(SNIPPETS) == 2
