"""Where words go: results to stdout, talk to stderr."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from cutpoint.errors import InputWarning

_WIDTH = 100
"""Columns where there is no terminal to ask."""
_PARTING = str.maketrans("\t\r\n", "   ")


def talk() -> Console:
    """Console for everything that is not the result."""
    return _console(is_talk=True)


def results() -> Console:
    """Console for the result as text."""
    return _console(is_talk=False)


def write(text: str) -> None:
    """One line of result, as it is: for other programs to read."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def on_one_line(text: str) -> str:
    """The text with spaces for line breaks and tabs, which part inputs and cells of the result."""
    return text.translate(_PARTING)


def tell_error(message: str, hint: str = "") -> None:
    """A sentence that says what is wrong, and a hint at what to do."""
    console = talk()
    console.print("[bold red]error:[/] ", end="")
    console.print(message, markup=False, highlight=False, soft_wrap=True)
    if hint:
        console.print("[bold]hint:[/] ", end="")
        console.print(hint, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def warnings_as_talk() -> Iterator[None]:
    """Warnings of inputs are talk inside, said once: a command predicts a few hundred inputs at a time."""
    with warnings.catch_warnings():
        elsewhere = warnings.showwarning
        told: list[Any] = []

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if not issubclass(category, InputWarning):
                elsewhere(message, category, *rest, **more)
            elif not told:
                told.append(message)
                talk().print("[bold yellow]warning:[/] ", end="")
                talk().print(str(message), markup=False, highlight=False, soft_wrap=True)

        warnings.showwarning = show
        yield


def _console(is_talk: bool) -> Console:
    stream = sys.stderr if is_talk else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH
    return Console(stderr=is_talk, width=width, highlight=False)
