"""Which characters the glyph network learns: letters, punctuation and symbols, and never a digit."""

from __future__ import annotations

import unicodedata

RANGES: tuple[tuple[int, int], ...] = (
    (0x0021, 0x007E),  # Basic Latin
    (0x00A1, 0x00FF),  # Latin-1 supplement
    (0x0370, 0x03FF),  # Greek
    (0x0400, 0x045F),  # Cyrillic
    (0x0490, 0x04BF),  # Cyrillic extensions
    (0x0531, 0x0587),  # Armenian
    (0x05D0, 0x05EA),  # Hebrew
    (0x10A0, 0x10FF),  # Georgian
    (0x2010, 0x205E),  # punctuation
    (0x20A0, 0x20BF),  # currency signs
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22FF),  # mathematical operators
    (0x25A0, 0x25FF),  # geometric shapes
    (0x2600, 0x266F),  # symbols
    (0x3041, 0x3096),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
)

_NUMBER_WORDS = frozenset(
    (
        "DIGIT",
        "NUMERAL",
        "NUMERIC",
        "ZERO",
        "ONE",
        "TWO",
        "THREE",
        "FOUR",
        "FIVE",
        "SIX",
        "SEVEN",
        "EIGHT",
        "NINE",
    )
)


def is_number(character: str) -> bool:
    """Whether a character is, contains or is named after a digit or another number.

    True for the Unicode categories Nd, Nl and No, for any character with a numeric value, for compatibility
    forms that decompose into one (superscripts, circled and full-width digits, fractions) and for names that
    hold a number word, which is wider than needed ("TWO DOT LEADER") and so on the safe side.
    """
    parts = unicodedata.normalize("NFKD", character)
    if any(unicodedata.category(part).startswith("N") for part in parts + character):
        return True
    if any(unicodedata.numeric(part, None) is not None for part in parts + character):
        return True
    words = unicodedata.name(character, "").replace("-", " ").split()
    return not _NUMBER_WORDS.isdisjoint(words)


def characters() -> tuple[str, ...]:
    """All characters that may become classes, in the order of their code points.

    Accented letters, ligatures and other composed forms are left out: they repeat shapes that are there.
    """
    found = []
    for first, last in RANGES:
        for code in range(first, last + 1):
            character = chr(code)
            composed = unicodedata.normalize("NFKD", character) != character
            if unicodedata.category(character)[0] in "LPS" and not composed and not is_number(character):
                found.append(character)
    return tuple(found)
