"""Texts that a language model learns from, and which parts of them: documents, completions and chats."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from cutpoint.errors import DataError
from cutpoint.types import Chat, Completion, Message

FALLBACK_TEMPLATE = (
    "{% for message in messages %}"
    "{% if not loop.first %}{{ '\\n' }}{% endif %}"
    "{{ message['role'] | capitalize }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n' }}Assistant:{% endif %}"
)
"""Ours, for tokenizers without a template: "User: …" and "Assistant: …" on lines of their own; what the assistant says
ends with the end-of-text token."""
_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")
_EXAMPLE = Chat((Message("user", "Hello."), Message("assistant", "Good day.")))


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


class ScriptWriter:
    """Makes the text of one example, with one tokenizer's chat template, or ours where it has none.

    What the assistant says is found in the text of the whole chat, not in its tokens: the text up to a turn, rendered
    alone, must begin the whole (trl compares token prefixes in the same way), unless the template itself marks what
    is generated.

    Args:
        tokenizer: Whose template and special tokens are used.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._own = bool(tokenizer.chat_template)
        self._template = str(tokenizer.get_chat_template()) if self._own else FALLBACK_TEMPLATE
        self._special = tuple(
            token.content for token in tokenizer.added_tokens_decoder.values() if token.special
        )

    def script(self, source: Any) -> Script:
        """The text that a `str`, `Completion` or `Chat` becomes.

        Raises:
            DataError: It is none of these, or the template cannot render the chat, or renders it so that the
                assistant's part cannot be told.
        """
        if isinstance(source, str):
            return Script(source, ((0, len(source)),), special=True, ends_open=False)
        if isinstance(source, Completion):
            text = source.prompt + source.completion
            return Script(text, ((len(source.prompt), len(text)),), special=True, ends_open=True)
        if isinstance(source, Chat):
            return self._chat(source)
        raise DataError(
            f"A language model does not learn from {type(source).__name__}.",
            "give texts, completions of prompts, or chats",
        )

    def prompt(self, source: Any) -> Script:
        """The text that the model is to go on from: the chat up to its last answer, the prompt, or all of a text."""
        if isinstance(source, Chat):
            asked = source[:-1] if source and source[-1].role == "assistant" else source
            return Script(self._render(asked, prompt=True), (), special=not self._own, ends_open=False)
        if isinstance(source, Completion):
            return Script(source.prompt, (), special=True, ends_open=False)
        return self.script(source)

    @functools.cached_property
    def closing_token(self) -> str | None:
        """The special token with which the template ends what the assistant says; None if there is none."""
        script = self._chat(_EXAMPLE)
        return self._special_at_end(script.text[slice(*script.trained[-1])]) if script.trained else None

    def _chat(self, chat: Chat) -> Script:
        text, spans = self._spans_of_template(chat) if _MARKED.search(self._template) else self._spans(chat)
        answered = bool(spans) and chat[-1].role == "assistant"
        ends_open = answered and self._special_at_end(text[slice(*spans[-1])]) is None
        return Script(text, spans, special=not self._own, ends_open=ends_open)

    def _spans_of_template(self, chat: Chat) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text, and where the template says {% generation %}."""
        from transformers.utils.chat_template_utils import render_jinja_template

        texts, spans = render_jinja_template(
            conversations=[_plain(chat)],
            chat_template=self._template,
            return_assistant_tokens_mask=True,
            **self._tokenizer.special_tokens_map,
        )
        return texts[0], tuple((start, end) for start, end in spans[0])

    def _spans(self, chat: Chat) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text, and in it each answer up to the token that closes it."""
        text = self._render(chat)
        spans = []
        for number, message in enumerate(chat):
            if message.role != "assistant":
                continue
            before = self._render(chat[:number], prompt=True)
            through = self._render(chat[: number + 1])
            if not (text.startswith(through) and through.startswith(before)):
                raise _not_stable(number)
            bare = through.rstrip()
            closed = len(bare) > len(before) and self._special_at_end(bare) is not None
            spans.append((len(before), len(bare if closed else through)))
        return text, tuple(spans)

    def _render(self, messages: tuple[Message, ...], *, prompt: bool = False) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                _plain(messages),
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=prompt,
            )
        except (TemplateError, IndexError, KeyError, TypeError, ValueError) as error:
            roles = ", ".join(message.role for message in messages)
            raise DataError(
                f"The tokenizer's chat template does not take a chat of the roles {roles or '(none)'}: {error}",
                "bring the chats into the order of roles that this model was made for",
            ) from error
        return text

    def _special_at_end(self, text: str) -> str | None:
        """The special token that the text ends with, whitespace aside."""
        bare = text.rstrip()
        return next((token for token in self._special if bare.endswith(token)), None)


def _plain(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [message._asdict() for message in messages]


def _not_stable(number: int) -> DataError:
    return DataError(
        f"The tokenizer's chat template writes message {number + 1} differently when others follow or precede it "
        "(it is not prefix-stable), so that the assistant's part cannot be told.",
        "split the chats so that each ends with the one answer that is learned, or mark that part of the template "
        "with {% generation %}",
    )
