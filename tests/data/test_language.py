"""Language modelling: chats, prompts with completions, plain text; and rows from which nothing is learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.data import content_hash, load_dataset, load_known, summarise
from cutpoint.data.documents import documents_in
from cutpoint.errors import DataError
from cutpoint.types import Chat, Completion, Message, Task


def _chat(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"What is {number} + 1?"},
            {"role": "assistant", "content": str(number + 1)},
        ]
    }


_CHATS = [_chat(number) for number in range(10)]


def _lines(folder: Path, rows: list[Any], name: str = "chat.jsonl") -> Path:
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows))
    return folder / name


def test_chats(tmp_path: Path) -> None:
    data = load_dataset(_lines(tmp_path, _CHATS))
    assert (data.modality, data.task) == ("text", Task(kind="language", metric="perplexity"))
    assert data.inputs[1] == Chat([Message("user", "What is 1 + 1?"), Message("assistant", "2")])
    assert isinstance(data.inputs[1], Chat)
    assert (data.targets.dtype, data.targets.tolist()) == (np.int64, [0] * 10)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 8, "test": 2}
    assert data.names[1] == "row 2"
    assert summarise(data).class_counts == {}
    assert len(load_known(data.source, data.task).splits["all"]) == 10
    with pytest.raises(DataError, match="one class an example; the task is language"):
        load_dataset(data.source, per_class=2)


def test_chats_in_split_files_and_in_named_columns(tmp_path: Path) -> None:
    rows = [{"talk": row["messages"], "who": n // 2} for n, row in enumerate(_CHATS)]
    _lines(tmp_path, rows[:6], "train.jsonl")
    _lines(tmp_path, rows[6:], "validation.jsonl")
    data = load_dataset(tmp_path, input_column="talk", group="who", test_fraction=0.3)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 4, "val": 4, "test": 2}
    assert data.names[6] == "validation.jsonl row 1"


def test_prompts_and_completions(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}:", "completion": f" {n * n}"} for n in range(10)]
    data = load_dataset(_lines(tmp_path, rows))
    assert data.inputs[3] == Completion("3:", " 9")
    assert data.task.kind == "language"
    assert data.notes == ("prompts are in the column “prompt”, completions in “completion”",)
    renamed = [
        {"question": row["prompt"], "answer": row["completion"], "id": n} for n, row in enumerate(rows)
    ]
    same = load_dataset(_lines(tmp_path, renamed), task="language", input_column="question,answer")
    assert content_hash(same) == content_hash(data)
    # Where the user names a label, prompts are texts like others.
    rated = [{**row, "label": n % 2} for n, row in enumerate(rows)]
    file = _lines(tmp_path, rated)
    assert load_dataset(file, input_column="prompt", target_column="label").task.kind == "binary"
    titled = load_dataset(
        _lines(tmp_path, [{**row, "text": str(n)} for n, row in enumerate(rated)]), task="binary"
    )
    assert titled.inputs[3] == "3"


def test_a_column_of_texts(tmp_path: Path) -> None:
    rows = [{"text": f"story {n}", "label": n % 2} for n in range(10)]
    data = load_dataset(_lines(tmp_path, rows), task="language")
    assert data.inputs[0] == "story 0"
    assert data.task.kind == "language"


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "user", "content": "Hello"}], "no turn of the assistant"),
        ([], "no turn of the assistant"),
        ([*_chat(1)["messages"], {"role": "gpt", "content": "Hi"}], "message 3 has the unknown role “gpt”"),
        ([{"role": "user", "content": " "}, _chat(1)["messages"][1]], "message 1 (user) is empty"),
        ([{"role": "user", "content": "a"}, {"role": "assistant"}], "message 2 (assistant) is empty"),
    ],
)
def test_chats_of_which_nothing_is_learned_are_set_aside(
    tmp_path: Path, messages: list[Any], reason: str
) -> None:
    file = _lines(tmp_path, [*_CHATS, {"messages": messages}])
    data = load_dataset(file, max_unreadable=0.1)
    assert len(data) == 10
    assert data.quarantined[0].name == "row 11"
    assert data.quarantined[0].reason.startswith(reason)
    with pytest.raises(DataError, match="1 of 11 texts cannot be read, more than 5 %: row 11"):
        load_dataset(file)
    with pytest.raises(DataError, match="no text can be read: row 1"):
        load_dataset(_lines(tmp_path, [{"messages": [{"role": "user", "content": "Hello"}]}] * 3))


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Hello", "row 11 of .* holds no list of messages"),
        ([{"content": "Hello"}], "message 1 of row 11 of .* has no role and content"),
        (
            [{"role": "user", "content": [{"type": "text"}]}],
            "content of message 1 of row 11 of .* is no text",
        ),
    ],
)
def test_rows_that_are_no_chats(tmp_path: Path, messages: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(_lines(tmp_path, [*_CHATS, {"messages": messages}]))


def test_empty_completions_are_set_aside(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}:", "completion": " "[: n % 2] or str(n)} for n in range(4)]
    data = load_dataset(
        _lines(tmp_path, [*rows, *rows[::2] * 3, {"prompt": None, "completion": "a"}]),
        max_unreadable=0.8,
        test_fraction=0,
    )
    assert [(item.name, item.reason) for item in data.quarantined] == [
        *((f"row {row}", "empty completion") for row in (2, 4)),
        ("row 11", "empty prompt"),
    ]


def test_paragraphs_are_documents(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_bytes("\ufeffOne\r\nmore.\r\n \r\n\r\nTwo é.\r\n\r\n  Three.\n\n\n\nFour.\n\nFive.\n".encode())
    data = load_dataset(file)
    assert list(data.inputs) == ["One\nmore.", "Two é.", "Three.", "Four.", "Five."]
    assert data.names[1] == "document 2"
    assert data.task.kind == "language"
    assert data.notes[0] == "documents of book.txt are its paragraphs between blank lines: 5"
    file.write_text(" \n\n")
    with pytest.raises(DataError, match=r"book\.txt holds no text"):
        load_dataset(file)
    file.write_text("One.\n\nTwo.\n")
    with pytest.raises(DataError, match="too few: 2"):
        load_dataset(file)
    with pytest.raises(DataError, match="plain text without labels, which is not multiclass"):
        load_dataset(file, task="multiclass")
    with pytest.raises(DataError, match="has no columns"):
        load_dataset(file, input_column="text")


def test_lines_are_joined_where_no_line_is_blank() -> None:
    lines = [f"line {number} of ten words is here for you to" for number in range(65)]
    documents, how = documents_in("\n".join(lines))
    assert [len(document.split("\n")) for document in documents] == [20, 20, 20, 5]
    assert "\n".join(documents).split("\n") == lines
    assert "lines" in how
    assert documents_in("one line")[0] == ["one line"]
    assert documents_in("")[0] == []


def test_plain_text_in_split_files(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\n\n".join(f"Paragraph {number}." for number in range(5)))
    (tmp_path / "test.txt").write_text("Other.\n\nParagraph 1.")
    data = load_dataset(tmp_path)
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {
        "train": [0, 1, 2, 3, 4],
        "test": [5, 6],
    }
    assert data.names[5] == "test.txt document 1"


def test_lists_in_memory() -> None:
    objects = [Chat([Message("user", "a"), Message("assistant", str(n))]) for n in range(6)]
    written = [[{"role": role, "content": content} for role, content in chat] for chat in objects]
    data = load_dataset(objects)
    assert data.task.kind == "language"
    for rows in (written, [{"messages": row} for row in written]):
        same = load_dataset(rows)
        assert content_hash(same) == content_hash(data)
    assert load_dataset([Completion("a", str(n)) for n in range(6)]).task.kind == "language"
    documents = load_dataset([f"text {n}" for n in range(6)], task="language")
    assert documents.inputs[0] == "text 0"
    assert load_dataset([("a", str(n)) for n in range(6)], task="language").inputs[0] == Completion("a", "0")
    assert len(load_known(["one"], documents.task)) == 1
    with pytest.raises(DataError, match="task is multiclass, but texts in memory holds data for language"):
        load_known(objects, Task(kind="multiclass", labels=("a", "b", "c")))
    with pytest.raises(DataError, match="row 5 holds no list of messages"):
        load_dataset([*written[:5], {"conversation": []}])


def test_real_files(shared: Path) -> None:
    folder = shared / "data" / "text"
    data = load_dataset(folder / "gsm8k_test500.jsonl")
    assert (len(data), data.quarantined) == (500, ())
    assert [message.role for message in data.inputs[0]] == ["user", "assistant"]
    stories = load_dataset(folder / "corpora" / "tinystories_sample.txt")
    assert len(stories) == 1230
    lines = load_dataset(folder / "corpora" / "clinc_wiki_sentences.txt")
    assert all(200 <= len(text.split()) < 300 for text in lines.inputs[:-1])
