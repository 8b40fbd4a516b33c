"""Versions, changelogs and CITATION.cff are of the same release."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import bana
from doc_blocks import ROOT

RELEASE = re.compile(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)
CITATION = yaml.safe_load((Path(ROOT) / "CITATION.cff").read_text(encoding="utf-8"))


def crf_version():
    return tomllib.loads((ROOT / "densecrf/pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_the_citation_names_this_version():
    assert CITATION["version"] == bana.__version__
    assert CITATION["references"][0]["title"].startswith("Background-Aware Pooling")


@pytest.mark.parametrize("name", ["CHANGELOG.md", "densecrf/CHANGELOG.md"])
def test_the_first_release_of_a_changelog_is_this_version(name):
    version, date = RELEASE.search((ROOT / name).read_text(encoding="utf-8")).groups()
    assert version == (crf_version() if "densecrf" in name else bana.__version__)
    if name == "CHANGELOG.md":
        assert date == str(CITATION["date-released"])


def test_bana_needs_a_densecrf_that_is_no_newer_than_the_one_here():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (bound,) = (re.fullmatch(r"densecrf>=(.+)", each)[1] for each in needed if each.startswith("densecrf"))
    assert tuple(map(int, bound.split("."))) <= tuple(map(int, crf_version().split(".")))
