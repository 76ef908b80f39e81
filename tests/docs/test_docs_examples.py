"""Every ```python and ```bash block of the documentation runs, page by page, in the order of the page.

A ```yaml block that starts with the comment `# NAME.yaml` is saved as that file. ```sh blocks need a network, a fresh
machine or much time: their cutpoint commands are parsed, their make targets looked up. ```text and other blocks are
output or fragments.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pages import REPOSITORY, Block, blocks, pages, shell_commands

_SHELL_MARKS = re.compile(r"[|<>;&$*]")
RUNNABLE = [page for page in pages() if any(block.language in ("python", "bash") for block in blocks(page))]
SETUP = [(page, block) for page in pages() for block in blocks(page) if block.language == "sh"]


@pytest.mark.parametrize("page", RUNNABLE, ids=str)
def test_examples_of_a_page_run(page: Path, workplace: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page}:{block.line}"
        if block.language == "python":
            _run_python(block, names, where)
        elif block.language == "yaml":
            _save_yaml(block, workplace)
        elif block.language == "bash":
            for command in shell_commands(block):
                _run_command(command, where, workplace)


def _save_yaml(block: Block, workplace: Path) -> None:
    """A block that starts with the comment `# NAME.yaml` is that file."""
    named = re.match(r"# ([\w-]+\.yaml)\n", block.text)
    if named is not None:
        (workplace / named[1]).write_text(block.text, encoding="utf-8")


def _run_python(block: Block, names: dict[str, Any], where: str) -> None:
    tree = ast.parse(block.text, filename=where)
    exec(compile(tree, where, "exec"), names)


def _run_command(command: str, where: str, workplace: Path) -> None:
    """A plain `cutpoint …` runs in this process, where torch is loaded already; the rest in a shell."""
    if command.startswith("cutpoint ") and not _SHELL_MARKS.search(command):
        from cutpoint.cli.main import main

        code = main(shlex.split(command, comments=True)[1:])
        assert code == 0, f"{where}: {command!r} ended with {code}"
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=workplace,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{where}: {command!r} ended with {done.returncode}: {done.stderr}"


@pytest.mark.parametrize(("page", "block"), SETUP, ids=lambda value: str(getattr(value, "line", value)))
def test_commands_that_are_not_run_are_at_least_valid(page: Path, block: Block) -> None:
    for command in shell_commands(block):
        words = shlex.split(command, comments=True)
        if words[0] == "cutpoint":
            _parse(words[1:])
        elif words[0] == "make":
            makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"make has no target {words[1]}"
        else:
            assert words[0] in ("git", "pip", "python", "cd", ".venv/bin/python"), command


def _parse(words: list[str]) -> None:
    """Raises where there is no such command or option."""
    from typer.main import get_command

    from cutpoint.cli.main import application

    command: Any = get_command(application)
    context = None
    while getattr(command, "commands", None):
        context = command.make_context(words[0], [], parent=context, resilient_parsing=True)
        command, words = command.commands[words[0]], words[1:]
    command.make_context(command.name, words, parent=context)
