"""Texts that a language model learns from, and which parts of them: documents, completions and chats.

A chat becomes one text through the tokenizer's template, or through ours where it has none. What the assistant
says is found in that text, not in the tokens: the text up to a turn, rendered alone, must begin the whole (trl
compares token prefixes in the same way), unless the template itself marks what is generated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cutpoint.errors import DataError
from cutpoint.types import Chat, Completion, Message

FALLBACK_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""Ours, for tokenizers without a template: "User: …" and "Assistant: …" on lines of their own; what the assistant says
ends with the end-of-text token."""
_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")
_EXAMPLE = (Message("user", "Hello."), Message("assistant", "Good day."))


@dataclass(frozen=True)
class Script:
    """A text for a language model.

    Attributes:
        text: All of it.
        trained: Where it is learned: (first character, the one behind the last), in order.
        special: Whether the tokenizer adds its own beginning and end; a template of its own writes them out.
        ends_open: Whether an end-of-text token is still to be put behind.
    """

    text: str
    trained: tuple[tuple[int, int], ...]
    special: bool
    ends_open: bool


def script_of(tokenizer: Any, source: Any) -> Script:
    """The text that one example becomes.

    Args:
        tokenizer: Whose chat template and special tokens are used.
        source: A `str`, `Completion` or `Chat`.

    Raises:
        DataError: It is none of these, or the template cannot render the chat or renders it so that the
            assistant's part cannot be told.
    """
    if isinstance(source, str):
        return Script(source, ((0, len(source)),), special=True, ends_open=False)
    if isinstance(source, Completion):
        text = source.prompt + source.completion
        return Script(text, ((len(source.prompt), len(text)),), special=True, ends_open=True)
    if isinstance(source, Chat):
        return _chat_script(tokenizer, source)
    raise DataError(
        f"A language model does not learn from {type(source).__name__}.",
        "give texts, completions of prompts, or chats",
    )


def prompt_of(tokenizer: Any, source: Any) -> Script:
    """The text up to where the model is to go on: the chat up to its last answer, the prompt, or the whole text."""
    if isinstance(source, Chat):
        asked = source[:-1] if source and source[-1].role == "assistant" else tuple(source)
        text = _render(tokenizer, asked, prompt=True)
        return Script(text, (), special=not tokenizer.chat_template, ends_open=False)
    if isinstance(source, Completion):
        return Script(source.prompt, (), special=True, ends_open=False)
    return script_of(tokenizer, source)


def closing_token(tokenizer: Any) -> str | None:
    """The special token with which the template ends what the assistant says; None if there is none."""
    script = _chat_script(tokenizer, Chat(_EXAMPLE))
    return _special_at_end(tokenizer, script.text[slice(*script.trained[-1])]) if script.trained else None


def _chat_script(tokenizer: Any, chat: Chat) -> Script:
    text, spans = _marked_by_template(tokenizer, chat) or _found_by_prefixes(tokenizer, chat)
    last = text[slice(*spans[-1])] if spans else ""
    ends_open = bool(spans) and chat[-1].role == "assistant" and not _special_at_end(tokenizer, last)
    return Script(text, spans, special=not tokenizer.chat_template, ends_open=ends_open)


def _marked_by_template(tokenizer: Any, chat: Chat) -> tuple[str, tuple[tuple[int, int], ...]] | None:
    """The text, and where the template says {% generation %}; None if it does not."""
    from transformers.utils.chat_template_utils import render_jinja_template

    template = _template(tokenizer)
    if not _MARKED.search(template):
        return None
    texts, spans = render_jinja_template(
        conversations=[_plain(chat)],
        chat_template=template,
        return_assistant_tokens_mask=True,
        **tokenizer.special_tokens_map,
    )
    return texts[0], tuple((start, end) for start, end in spans[0])


def _found_by_prefixes(tokenizer: Any, chat: Chat) -> tuple[str, tuple[tuple[int, int], ...]]:
    text = _render(tokenizer, chat)
    spans = []
    for number, message in enumerate(chat):
        if message.role == "assistant":
            before = _render(tokenizer, chat[:number], prompt=True)
            through = _render(tokenizer, chat[: number + 1])
            if not (text.startswith(through) and through.startswith(before)):
                raise DataError(
                    f"The tokenizer's chat template writes message {number + 1} differently when others follow "
                    "(it is not prefix-stable), so that the assistant's part cannot be told.",
                    "split the chats so that each ends with the one answer that is learned, or mark that part of the "
                    "template with {% generation %}",
                )
            said = through[len(before) :]
            bare = said.rstrip()
            spans.append((len(before), len(before) + len(bare if _special_at_end(tokenizer, bare) else said)))
    return text, tuple(spans)


def _render(tokenizer: Any, messages: tuple[Message, ...], *, prompt: bool = False) -> str:
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(
            _plain(messages),
            chat_template=_template(tokenizer),
            tokenize=False,
            add_generation_prompt=prompt,
        )
    except (TemplateError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The tokenizer's chat template does not take a chat of the roles "
            f"{', '.join(message.role for message in messages) or 'none'}: {error}",
            "bring the chats into the order of roles that this model was made for",
        ) from error
    return text


def _template(tokenizer: Any) -> str:
    return str(tokenizer.get_chat_template()) if tokenizer.chat_template else FALLBACK_TEMPLATE


def _plain(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [message._asdict() for message in messages]


def _special_at_end(tokenizer: Any, text: str) -> str | None:
    """The special token that the text ends with, whitespace aside."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    bare = text.rstrip()
    return next((token for token in special if bare.endswith(token)), None)
