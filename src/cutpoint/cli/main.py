"""The command line's door: commands, global options, and how mistakes are told."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import cutpoint
from cutpoint.cli import listing
from cutpoint.cli.advise import advise
from cutpoint.cli.audit import audit
from cutpoint.cli.demo import demo
from cutpoint.cli.fit import fit, train
from cutpoint.cli.merge import merge
from cutpoint.cli.predict import evaluate, predict
from cutpoint.cli.report import report
from cutpoint.cli.screen import tell_error, warnings_as_talk
from cutpoint.errors import CutpointError

MISTAKE = 2
"""Exit code where the user can mend something; as for wrong options."""
FAULT = 1
"""Exit code where Cutpoint itself is wrong."""
_DEBUG = "CUTPOINT_DEBUG"
_FIND, _USE, _LEARN = "Find and train", "Use and look", "Learn"

application = typer.Typer(
    name="cutpoint",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"cutpoint {cutpoint.__version__}")
        raise typer.Exit


@application.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar=_DEBUG, help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    """How much of a pretrained model should you train? Measured on your data, cheapest first.

    Start with `cutpoint demo`, or `cutpoint fit FOLDER` on a folder of images sorted by class, or
    a table of texts. Results go to stdout, talk to stderr. Exit codes: 0 done, 1 a fault of Cutpoint, 2 something to
    mend, 3 some inputs could not be read, 4 the audit found leaks, 130 interrupted.
    """
    if debug:
        os.environ[_DEBUG] = "1"


application.command(rich_help_panel=_FIND)(audit)
application.command(rich_help_panel=_FIND)(advise)
application.command(rich_help_panel=_FIND)(fit)
application.command(rich_help_panel=_FIND)(train)
application.command(rich_help_panel=_USE)(predict)
application.command(rich_help_panel=_USE)(evaluate)
application.command(rich_help_panel=_USE)(merge)
application.command(rich_help_panel=_USE)(report)
application.add_typer(listing.application, name="list", rich_help_panel=_LEARN)
application.command(rich_help_panel=_LEARN)(demo)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        with warnings_as_talk():
            application(args=list(arguments), prog_name="cutpoint")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    except CutpointError as error:
        tell_error(error.message, error.hint)
        return MISTAKE
    # The last resort: whatever it is, the user gets a sentence instead of a traceback.
    except Exception as error:
        if os.environ.get(_DEBUG):
            traceback.print_exc()
        if _is_out_of_memory(error):
            tell_error(
                "There was not enough memory to go on.",
                "Close other programs, or ask for less: a smaller --backbone or --image-size, --per-class. What a fit "
                "computed is kept: the same command goes on from there.",
            )
            return MISTAKE
        name = type(error).__name__
        tell_error(
            f"Something unexpected went wrong inside Cutpoint: {name}: {error}",
            "This is a fault of Cutpoint, please report it; `cutpoint --debug …` shows where it happened.",
        )
        return FAULT
    return 0


def _is_out_of_memory(error: Exception) -> bool:
    # Loading torch here would take seconds, or fail again where it is what failed.
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from cutpoint.runtime import is_out_of_memory

    return is_out_of_memory(error)


def run() -> None:
    """What the `cutpoint` script calls."""
    sys.exit(main(sys.argv[1:]))
