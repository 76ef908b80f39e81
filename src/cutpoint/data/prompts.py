"""The part of a text to learn from that a language model is given, and the part that it is to write."""

from __future__ import annotations

from cutpoint.types import Chat, Completion

_GIVEN_WORDS = 12


def split_prompt(text: str | Chat | Completion) -> tuple[str | Chat, str]:
    """A prompt and what is expected after it.

    Args:
        text: A chat is split before the assistant's last turn, a completion where it begins, plain text after a few
            words, at most half of them.
    """
    if isinstance(text, Completion):
        return text.prompt, text.completion
    if isinstance(text, Chat):
        last = max(place for place, message in enumerate(text) if message.role == "assistant")
        return Chat(text[:last]), text[last].content
    words = text.split(" ")
    given = min(_GIVEN_WORDS, (len(words) + 1) // 2)
    return " ".join(words[:given]), " ".join(words[given:])


def prompt_text(prompt: str | Chat) -> str:
    """A prompt as people read it."""
    if isinstance(prompt, Chat):
        return "\n".join(f"{message.role}: {message.content}" for message in prompt)
    return prompt
