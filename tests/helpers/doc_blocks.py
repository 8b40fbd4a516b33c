"""The commands and Python snippets of the README and the documentation's pages, as a reader sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """What stands in one place of a page: one command, or one Python snippet."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def commands() -> list[Block]:
    """Every command: the lines of indented blocks and of console blocks, and the parts of lines joined by ``&&``."""
    return [
        Block(name, line, part)
        for name, token in _code()
        if token.type == "code_block" or token.info == "console"
        for line, text in enumerate(token.content.splitlines(), start=token.map[0] + 1 + (token.type == "fence"))
        for part in _parts(text)
    ]


def snippets() -> dict[str, list[Block]]:
    """The Python blocks of each page, in order."""
    found: dict[str, list[Block]] = {}
    for name, token in _code():
        if token.info == "python":
            found.setdefault(name, []).append(Block(name, token.map[0] + 2, token.content))
    return found


def inline() -> list[Block]:
    """What is set as code inside sentences and tables."""
    return [
        Block(page.relative_to(ROOT).as_posix(), token.map[0] + 1 if token.map else 0, " ".join(child.content.split()))
        for page in PAGES
        for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))
        for child in token.children or []
        if child.type == "code_inline"
    ]


def _code() -> Iterator[tuple[str, Token]]:
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
            if token.type in {"fence", "code_block"}:
                yield page.relative_to(ROOT).as_posix(), token


def _parts(line: str) -> Iterator[str]:
    """The commands of a line, without prompt and comment, with single blanks."""
    command = line.removeprefix("$ ").partition(" #")[0]
    for part in command.split("&&"):
        if part.strip():
            yield " ".join(part.split())
