"""The documentation as data: pages, headings, links and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced code block: its info string, text and first line in the page."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page, relative to the repository."""
    found = [REPOSITORY / name for name in _ROOT_PAGES] + sorted((REPOSITORY / "docs").rglob("*.md"))
    return [page.relative_to(REPOSITORY) for page in found]


def read(page: Path) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    text = read(page)
    for match in _FENCE.finditer(text):
        yield Block(match[1], match[2], text[: match.start()].count("\n") + 2)


def links(page: Path) -> list[str]:
    """Targets of links and pictures outside of code blocks."""
    return _LINK.findall(_FENCE.sub("", read(page)))


def anchors(page: Path) -> set[str]:
    """What `#…` may name in a page, by GitHub's rule."""
    headings = _HEADING.findall(_FENCE.sub("", read(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_commands(block: Block) -> list[str]:
    """Lines of a shell block, continued ones joined, without comments and blank ones."""
    joined = block.text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.strip().startswith("#")]
