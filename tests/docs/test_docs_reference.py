"""Generated pages and stated facts are in step with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pages import REPOSITORY, blocks, pages, read
from reference_pages import FOLDER, PAGES
from renew_crossover import MEASURED, PAGE, block, shown

import cutpoint
from cutpoint import demo
from cutpoint.evaluation import comparison
from cutpoint.planning.settings import Settings


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_in_step(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `.venv/bin/python tests/docs/reference_pages.py`"


def test_architecture_shows_the_import_contract(project: dict[str, Any]) -> None:
    contract = project["tool"]["importlinter"]["contracts"][0]
    drawn = re.search(r"^```layers\n(.*?)^```$", read(Path("ARCHITECTURE.md")), re.MULTILINE | re.DOTALL)
    assert drawn is not None
    assert drawn[1].splitlines() == contract["layers"]


def test_architecture_justifies_every_dependency(project: dict[str, Any]) -> None:
    wanted = {re.match(r"[\w-]+", line)[0] for line in project["project"]["dependencies"]}  # type: ignore[index]
    section = read(Path("ARCHITECTURE.md")).split("## Dependencies")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([\w-]+)`", section, re.MULTILINE)) == wanted


def test_architecture_describes_every_room() -> None:
    package = REPOSITORY / "src" / "cutpoint"
    rooms = {item.name for item in package.iterdir() if (item / "__init__.py").is_file()}
    rooms |= {item.stem for item in package.glob("*.py") if item.stem != "__init__"}
    section = read(Path("ARCHITECTURE.md")).split("## Rooms")[1].split("\n## ")[0]
    named = re.findall(r"^\| `(\w+?)(?:/|\.py)`", section, re.MULTILINE)
    assert sorted(named) == sorted(rooms)


def test_every_finding_is_explained() -> None:
    package = REPOSITORY / "src" / "cutpoint"
    rooms = ("evaluation", "training", "race", "survey", "advice")
    source = "".join(file.read_text() for room in rooms for file in sorted((package / room).glob("*.py")))
    codes = set(re.findall(r'(?:code=|\bwarning\()"([\w-]+)"', source))
    page = read(Path("docs/guides/reading-the-report.md")).split("## Findings")[1]
    assert set(re.findall(r"^\| `([\w-]+)`", page, re.MULTILINE)) == codes


def test_figures_of_the_race_are_those_of_the_code() -> None:
    page = " ".join(read(Path("docs/concepts/the-race.md")).split())
    settings = Settings()
    for phrase in (
        f"in at least {100 * comparison.LIKELY:.0f} % of the resamples",
        f"Below {100 * comparison.PROVEN:.0f} % the verdict",
        f"fewer than {100 * comparison.HOPELESS:.0f} % of the resamples",
        f"below {settings.cross_validate_below:,} training rows".replace(",", " "),
        f"by {settings.folds}-fold cross-validation, {('', '', 'twice', 'three times')[settings.repeats]}",
    ):
        assert phrase in page
    measured = re.findall(r"\.\d\d(?: / \.\d\d)+", comparison.__doc__ or "")
    assert measured
    for figures in measured:
        assert f"| {figures.replace(' / ', ' | ')} |" in page


def test_the_refusal_that_the_memory_page_shows_is_the_code_s(capsys: pytest.CaptureFixture[str]) -> None:
    (account, told) = list(blocks(Path("docs/concepts/memory.md")))
    exec(compile(account.text, "memory.md", "exec"), {})
    assert capsys.readouterr().out == told.text


def test_the_crossover_is_what_was_measured() -> None:
    told = shown(PAGE.read_text(encoding="utf-8"))
    if not told:
        pytest.skip("the page shows no measurements yet")
    assert MEASURED.is_file()
    assert told == block(), "run `.venv/bin/python tests/docs/renew_crossover.py`"


def test_first_run_counts_the_digits_of_the_demo() -> None:
    page = " ".join(read(Path("docs/guides/first-run.md")).split())
    learn, choose = demo.PER_CLASS["train"], demo.PER_CLASS["val"]
    assert f"{learn} of each digit to learn from, {choose} to choose the regime by, 899 others" in page
    assert f"judged on the {10 * choose} digits" in page


def test_version_and_changelog_agree(project: dict[str, Any]) -> None:
    latest = re.search(r"^## \[?(\d+\.\d+\.\d+)", read(Path("CHANGELOG.md")), re.MULTILINE)
    assert latest is not None
    assert latest[1] == project["project"]["version"] == cutpoint.__version__


def test_run_folder_page_names_every_file_of_a_run(prepared: Path) -> None:
    page = read(Path("docs/reference/run-folder.md")) + read(Path("docs/reference/model-folder.md"))
    for file in (prepared / "run").rglob("*"):
        if file.is_file():
            name = re.sub(r"^\d+", "N", file.name)
            assert name in page, f"{file.relative_to(prepared)} is not described"


@pytest.mark.parametrize("page", pages(), ids=str)
def test_words_of_the_project(page: Path) -> None:
    """The rules of CONTRIBUTING.md; that page itself lists the words."""
    if page.name == "CONTRIBUTING.md":
        return
    text = read(page).lower()
    for word in ("trunk", "tuner", "criterion", "state-of-the-art", "seamless", "blazing", "simply"):
        assert not re.search(rf"\b{word}\b", text), f"{page} says {word!r}"
