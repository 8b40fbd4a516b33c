"""The site is built with warnings as errors, asks nobody else for anything, and has every command and preset."""

import re
import shutil

import pytest
import typer
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from bana.cli import app
from bana.presets import preset_names
from doc_blocks import PAGES, ROOT


def built(root, out):
    """Build the site of a copy of the repository's documentation, or of the repository itself."""
    config = load_config(str(root / "mkdocs.yml"), site_dir=str(out), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return built(ROOT, tmp_path_factory.mktemp("site") / "out")


def test_every_page_is_in_the_site(site):
    for page in PAGES[1:]:
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file()
    assert not (site / "hooks").exists()


def test_a_reader_asks_nobody_else(site):
    loads = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href|srcset)=\"?(?:https?:)?//", re.IGNORECASE
    )
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text(encoding="utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\((?:\"|')?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_every_option_of_every_command_is_explained(site):
    text = (site / "commands.html").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():
        section = text.partition(f'id="bana-{name}"')[2].partition("<h2")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert all(option in section for option in parameter.opts), (name, parameter.opts)


def test_every_preset_is_shown_as_it_is(site):
    text = (site / "presets.html").read_text(encoding="utf-8")
    for name in preset_names():
        assert f"{name}.yaml" in text
    assert "generated:" not in text


def test_broken_links_end_the_build(tmp_path):
    """To a page, to a place in one, and into the docstrings; on three pages alone, with the site's own settings."""
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs/hooks", docs / "hooks")
    (docs / "api").mkdir()
    for name in ("commands.md", "api/label.md", "iframe-worker.js", "site.css", "site.js"):
        shutil.copy(ROOT / "docs" / name, docs / name)
    for name in ("src", "densecrf"):
        (tmp_path / name).symlink_to(ROOT / name)
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    settings["nav"] = ["index.md", "commands.md", "api/label.md"]
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    sound = "[one](commands.md#bana-label) [two](api/label.md#bana.Labeler.load)"
    broken = "[one](nowhere.md) [two](commands.md#bana-fly) [three](api/label.md#bana.Labeler.fly)"
    (docs / "index.md").write_text(f"# Index\n\n{sound}\n\n{broken}\n")
    with pytest.raises(Abort, match="Aborted with 3 warnings"):
        built(tmp_path, tmp_path / "site")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_pages_outside_the_site_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    for target in targets:
        assert (ROOT / target.partition("#")[0]).exists(), target
    assert targets or name != "README.md"
