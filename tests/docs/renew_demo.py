"""Runs the demo and puts what it prints, and a picture of its report, into the pages that show it.

`python tests/docs/renew_demo.py`; the picture needs chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from pages import REPOSITORY

from cutpoint.types import Result

PICTURE = REPOSITORY / "docs" / "images" / "report.png"
PAGES = ("README.md", "docs/guides/first-run.md")
SIZE = (1100, 1230)
"""Pixels (width, height): down to the first chart."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        words, progress = run_demo(Path(folder))
        result = Result.model_validate_json((Path(folder) / "demo-run/run/result.json").read_text())
        take_picture(Path(folder) / "demo-run/run/report.html")
    assert result.verdict is not None
    verdict = textwrap.fill(result.verdict.text, 100)
    texts = {
        "race": "\n".join([*trial_lines(progress, result), "", verdict]),
        "progress": "\n".join(line for line in progress.splitlines() if not line.startswith("[")),
        "output": "\n".join(
            line.rstrip() for line in words[words.index("\nShip ") + 1 :].rstrip().splitlines()
        ),
    }
    for page in PAGES:
        path = REPOSITORY / page
        path.write_text(with_texts(path.read_text(encoding="utf-8"), texts), encoding="utf-8")


def run_demo(folder: Path) -> tuple[str, str]:
    """What the demo says on stdout and stderr."""
    command = [str(Path(sys.executable).parent / "cutpoint"), "demo", "--out", "demo-run"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def trial_lines(progress: str, result: Result) -> list[str]:
    starts = tuple(f"{trial.id} " for trial in result.trials)
    return [line for line in progress.splitlines() if line.startswith(starts)]


def with_texts(page: str, texts: dict[str, str]) -> str:
    """The page with the text block after each `<!-- demo: NAME -->` replaced."""
    for name, text in texts.items():
        block = f"<!-- demo: {name} -->\n```text\n{text}\n```\n"
        page = re.sub(
            rf"<!-- demo: {name} -->\n```text\n.*?\n```\n", lambda _, b=block: b, page, flags=re.DOTALL
        )
    return page


def take_picture(report: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("The picture needs chromium; nothing was changed.")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    options += [f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={PICTURE}"]
    subprocess.run([chromium, *options, report.as_uri()], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
