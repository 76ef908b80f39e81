"""Groups that file names tell: speakers, patients, boards, slides whose examples stand on both sides of a split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cutpoint.audit.pairs import Rows
from cutpoint.data.collected import few
from cutpoint.types import Finding

_SEPARATORS = "_-. "
_MOST_PARTS = 6
_LEAST_MEMBERS = 2.0
"""Examples of a group, on average: names that never come twice are numbers of the examples."""
_MOST_IN_ONE = 0.8
"""Share of the examples in one group above which it is a prefix of them all, which no split can keep together."""
_LEAST_CROSSING = 0.1
"""Share of the test examples whose group also stands in train."""
_RANDOM = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{3,}", re.IGNORECASE)
"""Letters and digits of a hash or a UUID."""


@dataclass(frozen=True)
class Grouping:
    """A reading of the names.

    Attributes:
        pattern: Regular expression for `--group`; its first group names the group.
        groups: Name of each row's group.
    """

    pattern: str
    groups: tuple[str, ...]


def named_groups(names: Sequence[str], labels: Sequence[str]) -> Grouping | None:
    """The reading of file names under which examples form groups; None where the names tell none.

    A part of the name (before its last separator) or a word at a fixed place is a group where it comes back in other
    names, is more than the label, and is neither constant nor a piece of a hash. Of several readings, one whose
    groups hold several labels is preferred (a speaker says every digit), then the one with the fewest groups.

    Args:
        names: N names with "/" between folders; names without an ending are no files and tell nothing.
        labels: N labels.
    """
    if not names or not all(PurePosixPath(name).suffix for name in names):
        return None
    readings = [reading for reading in _readings(names) if _is_telling(reading.groups, labels)]
    if not readings:
        return None
    return min(readings, key=lambda reading: (_follows(reading.groups, labels), len(set(reading.groups))))


def ungrouped(names: Sequence[str], labels: Sequence[str], train: Rows, test: Rows) -> list[Finding]:
    """A warning where a grouping that the names tell is cut by the split.

    Args:
        names: N names.
        labels: N labels.
        train: Rows of the training split.
        test: Rows of the test split.
    """
    reading = named_groups(names, labels)
    if reading is None or not len(test):
        return []
    learned = {reading.groups[row] for row in train}
    crossing = [row for row in test if reading.groups[row] in learned]
    if len(crossing) < _LEAST_CROSSING * len(test):
        return []
    shared = sorted({reading.groups[row] for row in crossing})
    stand = "stands" if len(shared) == 1 else "stand"
    return [
        Finding(
            code="ungrouped",
            severity="warning",
            text=f"File names tell {len(set(reading.groups)):,} groups, of which {len(shared):,} {stand} in train and "
            f"in test ({len(crossing):,} of {len(test):,} test examples): what is learned of a group helps there.",
            evidence=few(shared, 6),
            remedy=f"If these are speakers, patients, boards or the like, keep each on one side, from data without a "
            f"given split: --group '{reading.pattern}'.",
        )
    ]


def _readings(names: Sequence[str]) -> Iterator[Grouping]:
    for separator in _SEPARATORS:
        stems = [PurePosixPath(name).stem for name in names]
        fewest = min(stem.count(separator) for stem in stems)
        own = re.escape(separator)
        for place in range(min(fewest, _MOST_PARTS)):
            part = f"[^/{own}]+"
            start, end = "(?:^|/)", rf"{own}[^/]*$"
            yield from _matched(
                names, f"{start}({part}(?:{own}{part}){{{place}}}){end}" if place else f"{start}({part}){end}"
            )
            if place:
                word = f"[^/{own}0-9]+"
                yield from _matched(names, f"{start}(?:{part}{own}){{{place}}}({word}){end}")


def _matched(names: Sequence[str], pattern: str) -> Iterator[Grouping]:
    compiled = re.compile(pattern)
    matches = [compiled.search(name) for name in names]
    if all(match is not None for match in matches):
        yield Grouping(pattern, tuple(match[1] for match in matches if match is not None))


def _is_telling(groups: Sequence[str], labels: Sequence[str]) -> bool:
    distinct = set(groups)
    if len(distinct) < 2 or len(groups) / len(distinct) < _LEAST_MEMBERS:
        return False
    if max(Counter(groups).values()) > _MOST_IN_ONE * len(groups):
        return False
    if 2 * sum(
        any(_RANDOM.fullmatch(piece) for piece in re.split(r"[_\-. ]", name)) for name in distinct
    ) > len(distinct):
        return False
    # One group a label, or less: the name says the label, which is no group.
    return len(set(zip(groups, labels, strict=True))) > len(set(labels))


def _follows(groups: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether a group always has one label."""
    return len(set(zip(groups, labels, strict=True))) == len(set(groups))
