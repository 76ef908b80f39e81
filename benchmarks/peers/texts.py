"""Tokens and sentence encoders as the peers' own guides build them, from the same weights for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from . import torchvision_import  # noqa: F401
from .job import Job

from transformers import (  # isort: skip
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
)


def classifier(job: Job) -> nn.Module:
    """The encoder with a new classification head."""
    model: nn.Module = AutoModelForSequenceClassification.from_pretrained(
        job.weights, num_labels=len(job.labels)
    )
    return model


def tokenizer(job: Job) -> PreTrainedTokenizerBase:
    """Of the encoder."""
    return AutoTokenizer.from_pretrained(job.weights)


def encoded(job: Job, split: str, tokens: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """One record of token numbers and its class a text."""
    texts, targets = job.inputs_of(split), job.targets_of(split)
    found = tokens(texts, truncation=True, max_length=job.max_length)
    return [
        {**{name: found[name][row] for name in found}, "labels": targets[row]} for row in range(len(texts))
    ]


def collator(tokens: PreTrainedTokenizerBase) -> DataCollatorWithPadding:
    """Pads a batch to its longest text."""
    return DataCollatorWithPadding(tokens)


@torch.inference_mode()
def answers(model: nn.Module, batches: Iterable[Any]) -> list[int]:
    """Class numbers of tokenised batches; the network is left in the mode that it was in."""
    was_training = model.training
    model.eval()
    found = [int(number) for batch in batches for number in model(**batch).logits.argmax(1)]
    model.train(was_training)
    return found
