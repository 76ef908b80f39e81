"""What a language model learns from: chats, and prompts with their completions."""

from __future__ import annotations

from typing import Any

from cutpoint.data.collected import Collected
from cutpoint.data.columns import Wanted, with_splits_and_groups
from cutpoint.data.table import Table
from cutpoint.data.texts import texts_of, told_columns
from cutpoint.errors import DataError
from cutpoint.types import Chat, Completion, Message, TextPair

ROLES = ("system", "user", "assistant", "tool")
_MESSAGES_NAME = "messages"
_COMPLETION_NAMES = ("prompt", "completion")
_CHAT_HINT = "Write {“messages”: [{“role”: “user”, “content”: “…”}, {“role”: “assistant”, …}]} in every line."


def messages_column(table: Table, wanted: Wanted) -> str | None:
    """The column that holds lists of messages, named or called "messages"; None where there is none."""
    name = wanted.inputs[0] if wanted.inputs else _MESSAGES_NAME
    first = next((cell for cell in table.columns.get(name, ()) if cell), None)
    return name if isinstance(first, list) and isinstance(first[0], dict) else None


def has_completions(table: Table, wanted: Wanted) -> bool:
    """Whether the columns are "prompt" and "completion", and the user named none as something else."""
    return (
        not wanted.inputs and not wanted.target and all(name in table.columns for name in _COMPLETION_NAMES)
    )


def read_chats(table: Table, wanted: Wanted, column: str) -> Collected:
    """Rows of `Chat`.

    Raises:
        DataError: A row that holds no list of messages with role and content.
    """
    cells = zip(table.columns[column], table.names, strict=True)
    chats = [chat_of(cell, f"{name} of {table.source}") for cell, name in cells]
    return _language(table, wanted, chats, (column,), f"chats are in the column “{column}”")


def read_unlabelled(table: Table, wanted: Wanted) -> Collected:
    """Rows of texts to be continued: `Completion` where there are two columns, else str.

    Raises:
        DataError: Columns that cannot be told, or cells that are no texts.
    """
    columns = _COMPLETION_NAMES if has_completions(table, wanted) else told_columns(table, wanted)
    inputs = [Completion(*text) if isinstance(text, TextPair) else text for text in texts_of(table, columns)]
    note = f"texts are in the column “{columns[0]}”"
    if len(columns) == 2:
        note = f"prompts are in the column “{columns[0]}”, completions in “{columns[1]}”"
    return _language(table, wanted, inputs, columns, note)


def chat_of(messages: Any, name: str) -> Chat:
    """A list of messages, each {"role": …, "content": …} or a pair, as a `Chat`; missing content is empty.

    Raises:
        DataError: It is none; `name` says where.
    """
    if not isinstance(messages, list | tuple):
        raise DataError(f"{name} holds no list of messages.", _CHAT_HINT)
    return Chat(_message(message, number, name) for number, message in enumerate(messages, start=1))


def _message(message: Any, number: int, name: str) -> Message:
    if isinstance(message, dict) and "role" in message:
        message = (message["role"], message.get("content"))
    if not isinstance(message, tuple) or len(message) != 2:
        raise DataError(f"message {number} of {name} has no role and content.", _CHAT_HINT)
    role, content = message
    if not isinstance(role, str) or not isinstance(content, str | None):
        raise DataError(f"role or content of message {number} of {name} is no text.", _CHAT_HINT)
    return Message(role, content or "")


def chat_fault(chat: Chat) -> str:
    """Why nothing, or something wrong, would be learned from a chat; empty where it is fit for use."""
    for number, message in enumerate(chat, start=1):
        if message.role not in ROLES:
            return f"message {number} has the unknown role “{message.role}” (known: {', '.join(ROLES)})"
        if not message.content.strip():
            return f"message {number} ({message.role}) is empty"
    if not any(message.role == "assistant" for message in chat):
        return "no turn of the assistant"
    return ""


def _language(
    table: Table, wanted: Wanted, inputs: list[Any], columns: tuple[str, ...], note: str
) -> Collected:
    collected = Collected(
        source=table.source,
        modality="text",
        inputs=inputs,
        labels=[None] * len(inputs),
        names=table.names,
        notes=(note,),
        kind="language",
    )
    return with_splits_and_groups(collected, table, wanted, columns)
