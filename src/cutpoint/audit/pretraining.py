"""Which of the target's classes the backbone has been taught by name before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cutpoint.types import Finding

CODE = "pretraining-overlap"

_NAMED = 10
_SHORTEST_HEAD = 5
"""Letters of a class name that may end a closed compound ("sweatshirt"): shorter ones end words by chance."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def shared_classes(labels: Sequence[str], source_classes: Sequence[str]) -> dict[str, str]:
    """Target class → the class of the pretraining that it shares a name with.

    Names are compared as lower-case words in the singular. A class of the pretraining is met by any of its synonyms
    (between commas), also where the target's name is the general term for it: "shirt" meets "tee shirt" and
    "sweatshirt", "hat" meets "cowboy hat". Words are no proof that pictures are alike; equal names are preferred.

    Args:
        labels: Names of the target's classes.
        source_classes: As in `Backbone.source_classes`.
    """
    synonyms = [(_words(synonym), name) for name in source_classes for synonym in name.split(",")]
    exact = {words: name for words, name in reversed(synonyms)}
    found = {}
    for label in labels:
        words = _words(label)
        kinds = (name for other, name in synonyms if words and _is_kind_of(other, words))
        name = exact.get(words) or next(kinds, None)
        if words and name:
            found[label] = name
    return found


def pretraining_finding(
    labels: Sequence[str], source_classes: Sequence[str], backbone: str
) -> tuple[Finding, ...]:
    """An information where classes of the target have a name in the pretraining; nothing where none has."""
    shared = shared_classes(labels, source_classes)
    if not shared:
        return ()
    named = "; ".join(f"{label}: {name}" for label, name in list(shared.items())[:_NAMED])
    more = f"; and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
    return (
        Finding(
            code=CODE,
            severity="info",
            text=f"{len(shared)} of {len(labels)} classes have a name in the pretraining set of {backbone}: "
            "few-shot claims on them are inflated.",
            evidence=named + more,
            remedy="A high score with few labels says little about classes that the backbone has not met; make such "
            "claims on the other classes, or with a backbone of another source.",
        ),
    )


def _words(name: str) -> tuple[str, ...]:
    return tuple(_singular(word) for word in re.findall(r"[^\W_]+", _CAMEL.sub(" ", name).casefold()))


def _singular(word: str) -> str:
    """English plurals, as far as rules go; the other class is treated alike, so that a wrong singular does no harm."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _is_kind_of(source: tuple[str, ...], target: tuple[str, ...]) -> bool:
    """Whether the target's words are the head of the source's: its last words, or the end of its last word."""
    if source[-len(target) :] == target:
        return True
    return (
        len(target) == 1
        and bool(source)
        and len(target[0]) >= _SHORTEST_HEAD
        and source[-1].endswith(target[0])
    )
