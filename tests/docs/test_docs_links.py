"""Links between pages, to headings and to files of the repository resolve."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import REPOSITORY, anchors, links, pages


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_resolve(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (REPOSITORY / page).parent / name if name else REPOSITORY / page
        assert target.exists(), f"{page} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(REPOSITORY)), f"{page}: no heading {link}"


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [Path("README.md")]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in links(page):
            target = ((REPOSITORY / page).parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file() and target.is_relative_to(REPOSITORY):
                waiting.append(target.relative_to(REPOSITORY))
    assert not set(pages()) - seen
