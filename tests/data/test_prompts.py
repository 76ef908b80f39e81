"""What a language model is given, and what it is to write."""

from __future__ import annotations

from cutpoint.data.prompts import prompt_text, split_prompt
from cutpoint.types import Chat, Completion, Message


def test_a_chat_is_split_before_the_last_answer() -> None:
    chat = Chat(
        (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"))
    )
    prompt, expected = split_prompt(chat)
    assert prompt == Chat(chat[:3])
    assert expected == "d"
    assert prompt_text(prompt) == "user: a\nassistant: b\nuser: c"


def test_a_completion_where_it_begins() -> None:
    assert split_prompt(Completion("two and two is", " four")) == ("two and two is", " four")


def test_plain_text_leaves_something_to_write() -> None:
    long = " ".join(f"w{number}" for number in range(30))
    assert split_prompt(long) == (" ".join(long.split()[:12]), " ".join(long.split()[12:]))
    assert split_prompt("good morrow neighbour Baptista") == ("good morrow", "neighbour Baptista")
    assert split_prompt("good") == ("good", "")
