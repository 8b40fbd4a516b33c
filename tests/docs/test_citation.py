"""CITATION.cff is of the version that is released."""

from pathlib import Path

import yaml

import bana
from doc_blocks import ROOT


def test_the_citation_names_this_version():
    citation = yaml.safe_load((Path(ROOT) / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == bana.__version__
    assert citation["references"][0]["title"].startswith("Background-Aware Pooling")
