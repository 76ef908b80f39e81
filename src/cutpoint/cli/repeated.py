"""The next command to type, with the options that were given for this one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def next_command(
    verb: str, data: str, backbones: Sequence[str] | None, chosen: Mapping[str, object], *more: str
) -> str:
    """A command on the same question, quoted for a shell.

    Args:
        verb: Such as `fit`.
        data: As it was named.
        backbones: As they were named; None: none were.
        chosen: Parameter → its value, of the options that both commands have; None is left out.
        more: Words behind them.
    """
    words = ["cutpoint", verb, data]
    for name in backbones or ():
        words += ["--backbone", name]
    for option, value in chosen.items():
        if value is not None:
            words += [f"--{option.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join([*words, *more])
