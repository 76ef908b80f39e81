"""Texts that the pages presume, so easy that a race ends with its first trial, and a tiny language model."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cutpoint.backbones.torchvision_repair import import_torchvision

_THINGS = ("kettle", "lamp", "chair", "radio", "jacket", "clock", "bag", "knife", "phone", "tent")
_PLACES = ("Oslo", "Lima", "Cairo", "Turin", "Quito", "Delhi")
_PEOPLE = ("Mia", "Noah", "Ida", "Omar", "Lena", "Kofi")
_MOODS = {
    "good": ("works very well", "is wonderful and works every day", "is excellent, works, and I love it"),
    "bad": ("broke at once", "is awful and broke in a week", "is terrible, broke, and I want it gone"),
}
_VOCABULARY = 320


def write_texts(folder: Path) -> None:
    """reviews.csv, new-reviews.csv, later-reviews.csv, reviews/, letters/, pairs.tsv, stars.csv, names.jsonl,
    chat.jsonl, prompts.jsonl, diary.txt and other-topics.jsonl."""
    reviews = _reviews()
    _table(folder / "reviews.csv", ("text", "label"), reviews[:60])
    _table(folder / "later-reviews.csv", ("text", "label"), reviews[60:90])
    _table(folder / "new-reviews.csv", ("text",), [(text,) for text, _ in reviews[90:93]])
    for split, start, end in (("train", 0, 40), ("val", 40, 60), ("test", 60, 90)):
        _table(folder / "reviews" / f"{split}.csv", ("text", "label"), reviews[start:end])
    for number, (text, label) in enumerate(reviews[:40]):
        letter = folder / "letters" / label / f"{number}.txt"
        letter.parent.mkdir(parents=True, exist_ok=True)
        letter.write_text(text, encoding="utf-8")
    _table(folder / "pairs.tsv", ("question", "answer", "label"), _pairs())
    _table(
        folder / "stars.csv", ("text", "stars"), [(text, _stars(text, label)) for text, label in reviews[:60]]
    )
    _lines(folder / "names.jsonl", _tagged())
    _lines(folder / "chat.jsonl", _chats(_THINGS))
    _lines(folder / "other-topics.jsonl", _chats(_PLACES))
    _lines(folder / "prompts.jsonl", _prompts())
    (folder / "diary.txt").write_text("\n\n".join(text for text, _ in reviews[:60]) + "\n", encoding="utf-8")


def write_language_model(folder: Path) -> None:
    """A Llama of two layers with random weights, and a tokenizer of its own that knows the texts' letters."""
    import_torchvision()
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=_VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator([text for text, _ in _reviews()], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(folder)
    transformers.set_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    configuration = transformers.LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=256, bos_token_id=0, eos_token_id=1, **sizes
    )
    transformers.LlamaForCausalLM(configuration).save_pretrained(folder)


def _reviews() -> list[tuple[str, str]]:
    """Texts that differ, good and bad by turns."""
    draw = random.Random(0)
    return [
        (f"The {draw.choice(_THINGS)} number {number} {draw.choice(_MOODS[label])}.", label)
        for number in range(96)
        for label in [("good", "bad")[number % 2]]
    ]


def _stars(text: str, label: str) -> float:
    return round((4.5 if label == "good" else 1.5) + 0.01 * (len(text) % 20), 2)


def _pairs() -> list[tuple[str, str, str]]:
    draw = random.Random(1)
    rows = []
    for number in range(60):
        thing, label = draw.choice(_THINGS), ("fits", "does not fit")[number % 2]
        answer = (
            f"The {thing} costs {number} crowns."
            if label == "fits"
            else f"In {draw.choice(_PLACES)} it rains."
        )
        rows.append((f"What does the {thing} cost?", answer, label))
    return rows


def _tagged() -> list[dict[str, Any]]:
    draw = random.Random(2)
    rows = []
    for _ in range(60):
        person, place, thing = draw.choice(_PEOPLE), draw.choice(_PLACES), draw.choice(_THINGS)
        tokens = f"{person} bought a {thing} in {place} .".split()
        rows.append({"tokens": tokens, "tags": ["B-person", "O", "O", "O", "O", "B-place", "O"]})
    return rows


def _chats(topics: Sequence[str]) -> list[dict[str, Any]]:
    draw = random.Random(3)
    rows = []
    for number in range(60):
        topic = draw.choice(topics)
        asked = {"role": "user", "content": f"Tell me of the {topic}, part {number}."}
        rows.append({"messages": [asked, {"role": "assistant", "content": f"The {topic} is excellent."}]})
    return rows


def _prompts() -> list[dict[str, str]]:
    draw = random.Random(4)
    return [
        {"prompt": f"Item {number}: the {thing}. Verdict:", "completion": f" the {thing} works very well."}
        for number in range(60)
        for thing in [draw.choice(_THINGS)]
    ]


def _table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([header, *rows])


def _lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
