"""Data sets of any size that can be learned: pictures of ten shapes, and texts on ten subjects.

Everything is drawn from a seed, so that two machines make the same files.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = 10
SIDE = 32
_SEGMENTS = {  # the bars of a display: (from, to) in a box of width 1 and height 2
    "top": ((0.0, 0.0), (1.0, 0.0)),
    "upper left": ((0.0, 0.0), (0.0, 1.0)),
    "upper right": ((1.0, 0.0), (1.0, 1.0)),
    "middle": ((0.0, 1.0), (1.0, 1.0)),
    "lower left": ((0.0, 1.0), (0.0, 2.0)),
    "lower right": ((1.0, 1.0), (1.0, 2.0)),
    "bottom": ((0.0, 2.0), (1.0, 2.0)),
}
_LIT = (
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
)
"""Which bars make each of the ten digits, in the order above."""
_COMMON, _OF_A_SUBJECT, _WORDS = 2000, 20, 10
_ABOUT_THE_SUBJECT = 0.4


def write_images(folder: Path, count: int, seed: int = 0) -> Path:
    """`count` pictures of 32 × 32 pixels as folder/CLASS/NUMBER.png; what is there already is kept."""
    random = np.random.default_rng(seed)
    for label in range(CLASSES):
        (folder / f"shape{label}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        label = number % CLASSES
        picture = _picture(label, random)
        Image.fromarray(picture).save(folder / f"shape{label}" / f"{number:07d}.png", compress_level=1)
    return folder


def write_texts(file: Path, count: int, seed: int = 0) -> Path:
    """A table of `count` texts of ten words with their subjects."""
    random = np.random.default_rng(seed)
    with file.open("w", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["text", "label"])
        for number in range(count):
            label = number % CLASSES
            is_own = random.random(_WORDS) < _ABOUT_THE_SUBJECT
            own = _COMMON + label * _OF_A_SUBJECT + random.integers(_OF_A_SUBJECT, size=_WORDS)
            words = np.where(is_own, own, random.integers(_COMMON, size=_WORDS))
            table.writerow([" ".join(_word(int(word)) for word in words), f"subject{label}"])
    return file


def write_encoder(folder: Path) -> Path:
    """A BERT of two layers with random weights that knows every word of the texts."""
    import torch

    from cutpoint.backbones.torchvision_repair import import_torchvision

    import_torchvision()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    words = special + [_word(number) for number in range(_COMMON + CLASSES * _OF_A_SUBJECT)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = BertConfig(
            vocab_size=len(words), hidden_size=192, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=256, max_position_embeddings=64, pad_token_id=1,
        )  # fmt: skip
        BertModel(sizes).save_pretrained(folder)
    backend = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


def _picture(label: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """A digit of bars, its place, size, slant, thickness and shades drawn at random, under noise."""
    height = random.uniform(6, 11)
    corner = random.uniform(2, SIDE - 2 - np.array([height, 2 * height]))
    slant, thickness = random.uniform(-0.3, 0.3), random.uniform(0.8, 1.8)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    down = (rows - corner[1]) / height
    across = (columns - corner[0]) / height - slant * (1 - down)
    lit = [ends for ends, mark in zip(_SEGMENTS.values(), _LIT[label], strict=True) if mark == "1"]
    distance = np.min([_distance(across, down, *ends) for ends in lit], axis=0) * height
    ink = np.clip(thickness - distance + 0.5, 0, 1)
    ground, shade = random.uniform(0, 70), random.uniform(150, 255)
    noisy = ground + (shade - ground) * ink + random.normal(0, 12, ink.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _distance(
    across: NDArray[np.float32],
    down: NDArray[np.float32],
    start: tuple[float, float],
    end: tuple[float, float],
) -> NDArray[np.float32]:
    """From every pixel to a bar."""
    along = np.subtract(end, start)
    place = np.clip((across - start[0]) * along[0] + (down - start[1]) * along[1], 0, 1)
    return np.hypot(across - start[0] - place * along[0], down - start[1] - place * along[1])


def _word(number: int) -> str:
    """A word of letters for every number."""
    letters = ""
    for _ in range(3):
        number, sound = divmod(number, 20)
        letters += "bdfgklmnprstvz"[sound % 14] + "aeiou"[sound % 5]
    return letters
