"""Inspection of texts at load: each is hashed; what is empty or cannot be learned from is set aside."""

from __future__ import annotations

import json
from dataclasses import replace

import xxhash

from cutpoint.data.chats import chat_fault
from cutpoint.data.collected import Collected
from cutpoint.data.set_aside import check_share
from cutpoint.types import Chat, Completion, Quarantined, TextPair, Words

Text = str | TextPair | Words | Chat | Completion

_HINT = "Look at these rows; what holds no text cannot be learned from."


def inspect_texts(
    collected: Collected, *, max_unreadable: float
) -> tuple[Collected, tuple[str, ...], tuple[Quarantined, ...]]:
    """Set aside texts that are empty, chats without an assistant's turn and the like.

    Returns:
        The usable rows, their keys, and what was set aside.

    Raises:
        DataError: More than the share `max_unreadable` of the texts cannot be used, or all of them.
    """
    faults = [text_fault(text) for text in collected.inputs]
    usable = [row for row, fault in enumerate(faults) if not fault]
    quarantined = tuple(
        Quarantined(name=name, reason=fault)
        for name, fault in zip(collected.names, faults, strict=True)
        if fault
    )
    check_share(quarantined, len(faults), max_unreadable, "text", _HINT)
    kept = collected.take(usable) if quarantined else collected
    lost = sum("\ufffd" in "".join(parts_of(text)) for text in kept.inputs)
    if lost:
        note = f"texts with a character that was lost in an earlier conversion (\ufffd): {lost:,}"
        kept = replace(kept, notes=(*kept.notes, note))
    return kept, tuple(text_key(text) for text in kept.inputs), quarantined


def text_key(text: Text) -> str:
    """Content hash (xxh3-128) of a text or its parts, and of its kind: a pair is not a sentence of two words."""
    return xxhash.xxh3_128_hexdigest(f"{type(text).__name__} {json.dumps(text)}".encode())


def parts_of(text: Text) -> list[str]:
    """Everything written in a text; of a chat, the contents of its messages."""
    if isinstance(text, str):
        return [text]
    return [message.content for message in text] if isinstance(text, Chat) else list(text)


def text_fault(text: Text) -> str:
    """Why a text cannot be used; empty where it can."""
    try:
        "".join(parts_of(text)).encode()
    except UnicodeEncodeError:
        return "half of a character (a lone surrogate), which is no Unicode"
    if isinstance(text, Chat):
        return chat_fault(text)
    blank = [number for number, part in enumerate(parts_of(text)) if not part.strip()]
    if isinstance(text, Words) and blank:
        return f"word {blank[0] + 1} is empty"
    if isinstance(text, Completion) and blank:
        return f"empty {text._fields[blank[0]]}"
    return "empty text" if blank or not text else ""
