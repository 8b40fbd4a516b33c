"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the research data, or a skip where it is not there (see CONTRIBUTING.md)."""
    folder = os.environ.get("BANA_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("BANA_TEST_DATA does not name the folder with the research data")
    return Path(folder)
