"""A tiny encoder and a tiny language model on disk, and texts that they can learn from in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutpoint.backbones.torchvision_repair import import_torchvision
from cutpoint.types import Words

PLAIN = ["the", "on", "a", "and", "saw", "two", "run", "home"]
ANIMALS = ["cat", "dog", "cow"]
PLACES = ["barn", "field", "lake"]
SPECIAL = {"[CLS]": 0, "[PAD]": 1, "[SEP]": 2, "[UNK]": 3}
VOCABULARY = {**SPECIAL, **{word: 4 + i for i, word in enumerate(PLAIN + ANIMALS + PLACES)}}
TAGS = ("O", "B-animal", "B-place")
_SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 32,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def save_encoder(folder: Path) -> Path:
    """A BERT of two layers with dropout, random weights."""
    import_torchvision()
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        transformers.BertModel(transformers.BertConfig(**_SIZES)).save_pretrained(folder)
    _save_tokenizer(folder, causal=False)
    return folder


def save_language_model(folder: Path) -> Path:
    """A Llama of two layers, random weights."""
    import_torchvision()
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        configuration = transformers.LlamaConfig(**_SIZES, num_key_value_heads=1)
        transformers.LlamaForCausalLM(configuration).save_pretrained(folder)
    _save_tokenizer(folder, causal=True)
    return folder


def _save_tokenizer(folder: Path, *, causal: bool) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A" if causal else "[CLS] $A [SEP]",
        pair="[CLS] $A $B" if causal else "[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 2)],
    )
    of_encoders = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        **({} if causal else of_encoders),
    ).save_pretrained(folder)


def texts_of_animals(labels: np.ndarray) -> list[str]:
    """Two to nine words, among them the animal of the class, twice."""
    random = np.random.default_rng(3)
    texts = []
    for label in labels:
        words = random.choice(PLAIN, random.integers(1, 8)).tolist() + [ANIMALS[label]] * 2
        texts.append(" ".join(random.permutation(words)))
    return texts


def tagged_sentences(count: int) -> tuple[list[Words], np.ndarray]:
    """Words of which animals and places carry tags, and the tag numbers (count, longest), -100 behind the last."""
    random = np.random.default_rng(3)
    sentences = [
        Words(random.choice(PLAIN + ANIMALS + PLACES, random.integers(2, 9)).tolist()) for _ in range(count)
    ]
    targets = np.full((count, max(map(len, sentences))), -100, dtype=np.int64)
    for row, words in enumerate(sentences):
        targets[row, : len(words)] = [1 if w in ANIMALS else 2 if w in PLACES else 0 for w in words]
    return sentences, targets


def sentences(count: int) -> list[str]:
    """Four to nine words, each of which mostly decides the next one."""
    random = np.random.default_rng(3)
    words = PLAIN + ANIMALS
    texts = []
    for _ in range(count):
        start, length = random.integers(len(words)), random.integers(4, 10)
        places = [int(start + step + (random.random() < 0.1)) % len(words) for step in range(length)]
        texts.append(" ".join(words[place] for place in places))
    return texts
