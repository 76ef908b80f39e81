"""Text files are UTF-8: others are refused with the place of the first wrong byte and a way to convert them."""

from __future__ import annotations

from pathlib import Path

from cutpoint.errors import DataError

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_utf8(file: Path) -> str:
    """The text of a file with all line ends as "\\n"; a byte-order mark at the start is left out.

    Raises:
        DataError: A byte that is not UTF-8, with its line, or a file that cannot be opened.
    """
    kind = file.suffix[1:].upper()
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise _not_utf8(file, kind, problem) from problem
    except OSError as problem:
        raise DataError(
            f"{file} cannot be read as {kind}: {problem.strerror}.", "Check the file and its permissions."
        ) from problem
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _not_utf8(file: Path, kind: str, problem: UnicodeDecodeError) -> DataError:
    content = problem.object
    line = content.count(b"\n", 0, problem.start) + 1
    place = problem.start - (content.rfind(b"\n", 0, problem.start) + 1) + 1
    return DataError(
        f"{file} cannot be read as {kind}: byte {place} of line {line:,} (0x{content[problem.start]:02X}) "
        "is not UTF-8.",
        _conversion(file, content),
    )


def _conversion(file: Path, content: bytes) -> str:
    if content.startswith(_UTF_16_MARKS):
        name = "UTF-16"
    else:
        try:
            content.decode("windows-1252")
        except UnicodeDecodeError:
            return "Save it again as UTF-8; it is damaged, or in an encoding that cannot be told."
        name = "WINDOWS-1252"
    known_as = "Latin-1 (Windows-1252)" if name == "WINDOWS-1252" else name
    return f"It looks like {known_as}; convert it: iconv -f {name} -t UTF-8 {file.name} > utf8-{file.name}"
