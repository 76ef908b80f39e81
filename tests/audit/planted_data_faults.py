"""Data with one fault each, and the code that must tell it: what the tests and the table of the docs are made from."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.data import load_dataset, open_image
from cutpoint.types import Dataset, Quarantined

Plant = Callable[[Dataset], Dataset]


@dataclass(frozen=True)
class Fault:
    """A fault that is planted into a clean data set.

    Attributes:
        name: In words.
        code: Of the finding that must tell it.
        modality: Of the data that it is planted into.
        plant: The data with the fault.
    """

    name: str
    code: str
    modality: str
    plant: Plant


def clean_images(count: int = 120, seed: int = 0) -> Dataset:
    """Pictures of smooth random fields, of two classes that no trivial feature tells apart; numbered names."""
    random = np.random.default_rng(seed)
    images = [_field(random) for _ in range(count)]
    return _split(
        load_dataset(images, targets=["oak", "elm"] * (count // 2), test_fraction=0), "photo{:04d}.png"
    )


def clean_texts(count: int = 120, seed: int = 0) -> Dataset:
    """Sentences of random words of two classes."""
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, random.integers(3, 9))) for _ in range(600)]
    texts = [" ".join(random.choice(words, random.integers(30, 45))) for _ in range(count)]
    return _split(load_dataset(texts, targets=["oak", "elm"] * (count // 2), test_fraction=0), "row {}")


def _split(dataset: Dataset, name: str) -> Dataset:
    rows = np.arange(len(dataset))
    test = rows % 4 >= 2
    names = tuple(name.format(7 * row) for row in rows)
    return replace(
        dataset, splits={"train": rows[~test], "test": rows[test]}, names=names, test_origin="given"
    )


def _with(dataset: Dataset, **changes: Any) -> Dataset:
    """Other inputs than those that were looked at when the data were loaded."""
    return replace(dataset, fingerprints=None, **changes)


def _field(random: np.random.Generator) -> Image.Image:
    coarse = random.integers(40, 215, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((72, 64), Image.Resampling.BICUBIC)


def _overwritten(dataset: Dataset, change: Callable[[object], object], share: float = 0.05) -> Dataset:
    """Test rows become changed copies of training rows of the same label."""
    inputs, keys, targets = list(dataset.inputs), list(dataset.keys), dataset.targets.copy()
    count = max(2, int(share * len(dataset.splits["test"])))
    for row, original in zip(dataset.splits["test"][:count], dataset.splits["train"], strict=False):
        inputs[row], targets[row] = change(inputs[original]), targets[original]
        keys[row] = keys[original] if inputs[row] is inputs[original] else f"planted {row}"
    return _with(dataset, inputs=inputs, keys=tuple(keys), targets=targets)


def _saved_again(image: object, quality: int = 80) -> Image.Image:
    buffer = io.BytesIO()
    open_image(image).save(buffer, "JPEG", quality=quality)
    return open_image(buffer.getvalue())


def _same_pixels(image: object) -> Image.Image:
    return open_image(image).copy()


def _brighter(image: object) -> Image.Image:
    return open_image(image).point(lambda value: min(255, int(value * 1.12)))


def _one_word_more(text: object) -> str:
    first, _, rest = str(text).partition(" ")
    return f"{first} zyxw {rest}"


def _two_words_more(text: object) -> str:
    words = str(text).split(" ")
    half = len(words) // 2
    return " ".join([*words[:2], "zyxw", *words[2:half], "wvut", *words[half:]])


def _repeated(dataset: Dataset) -> Dataset:
    inputs, keys, targets = list(dataset.inputs), list(dataset.keys), dataset.targets.copy()
    train = dataset.splits["train"]
    for row, original in zip(train[2::4], train[::4], strict=False):
        inputs[row], keys[row], targets[row] = inputs[original], keys[original], targets[original]
    return _with(dataset, inputs=inputs, keys=tuple(keys), targets=targets)


def _clashing(dataset: Dataset) -> Dataset:
    planted = _repeated(dataset)
    targets, train = planted.targets.copy(), planted.splits["train"]
    targets[train[2]] = (targets[train[0]] + 1) % len(dataset.task.labels)
    return replace(planted, targets=targets)


def _rare(dataset: Dataset) -> Dataset:
    train = dataset.splits["train"]
    rare = train[dataset.targets[train] == 0]
    return replace(dataset, splits={**dataset.splits, "train": np.setdiff1d(train, rare[3:])})


def _uneven(dataset: Dataset) -> Dataset:
    train = dataset.splits["train"]
    rare = train[dataset.targets[train] == 0]
    return replace(
        dataset, splits={**dataset.splits, "train": np.setdiff1d(train, rare[max(2, len(rare) // 25) :])}
    )


def _speakers(dataset: Dataset) -> Dataset:
    people = ("ann", "bob", "cem", "dora", "eva")
    label = [dataset.task.labels[int(target)].replace(" ", "") for target in dataset.targets]
    names = tuple(f"{label[row]}/{label[row]}_{people[row % 5]}_{row}.png" for row in range(len(dataset)))
    return replace(dataset, names=names)


def _shots(dataset: Dataset) -> Dataset:
    """Consecutive numbers; a third of the pictures are the one before, moved by a few pixels."""
    inputs, targets = list(dataset.inputs), dataset.targets.copy()
    for row in range(1, len(dataset), 3):
        previous = open_image(inputs[row - 1])
        moved = previous.crop((3, 3, previous.width, previous.height))
        inputs[row], targets[row] = moved, targets[row - 1]
    names = tuple(f"IMG_{row:05d}.jpg" for row in range(len(dataset)))
    rows = np.arange(len(dataset))
    splits = {"train": rows[rows % 3 != 1], "test": rows[rows % 3 == 1]}
    keys = tuple(f"shot {row}" for row in rows)
    return _with(dataset, inputs=inputs, targets=targets, names=names, splits=splits, keys=keys)


def _framed(dataset: Dataset) -> Dataset:
    """A grey frame around every picture of the first class."""
    inputs = list(dataset.inputs)
    for row in np.flatnonzero(dataset.targets == 0):
        image = open_image(inputs[row])
        framed = Image.new("RGB", image.size, (128, 128, 128))
        edge = max(4, image.width // 12)
        framed.paste(image.crop((edge, edge, image.width - edge, image.height - edge)), (edge, edge))
        inputs[row] = framed
    return _with(dataset, inputs=inputs)


def _smaller(dataset: Dataset) -> Dataset:
    inputs = list(dataset.inputs)
    for row in np.flatnonzero(dataset.targets == 0):
        image = open_image(inputs[row])
        inputs[row] = image.resize((image.width * 3 // 5, image.height * 3 // 5))
    return _with(dataset, inputs=inputs)


def _darker(dataset: Dataset) -> Dataset:
    inputs = list(dataset.inputs)
    for row in np.flatnonzero(dataset.targets == 0):
        inputs[row] = open_image(inputs[row]).point(lambda value: value // 4)
    return _with(dataset, inputs=inputs)


def _longer(dataset: Dataset) -> Dataset:
    inputs = [
        " ".join([str(text), str(text)[::-1]] * 4) if target == 0 else str(text)[:120]
        for text, target in zip(dataset.inputs, dataset.targets, strict=True)
    ]
    return _with(dataset, inputs=inputs)


def _unreadable(dataset: Dataset) -> Dataset:
    return replace(dataset, quarantined=(Quarantined(name="broken.jpg", reason="empty file"),))


FAULTS = (
    Fault(
        "the same file in train and test",
        "leaked-duplicates",
        "image",
        lambda d: _overwritten(d, lambda i: i),
    ),
    Fault(
        "the same pixels in another file",
        "leaked-duplicates",
        "image",
        lambda d: _overwritten(d, _same_pixels),
    ),
    Fault("saved again as JPEG", "leaked-twins", "image", lambda d: _overwritten(d, _saved_again)),
    Fault(
        "the same picture, brighter", "near-duplicates-across", "image", lambda d: _overwritten(d, _brighter)
    ),
    Fault("copies within train", "duplicates", "image", _repeated),
    Fault("copies with clashing labels", "conflicting-labels", "image", _clashing),
    Fault("a class of three examples", "tiny-classes", "image", _rare),
    Fault("classes 25 : 1", "imbalance", "image", _uneven),
    Fault("speakers in names on both sides", "ungrouped", "image", _speakers),
    Fault("burst shots on both sides", "burst-shots", "image", _shots),
    Fault("a frame around one class", "shortcut", "image", _framed),
    Fault("one class in smaller pictures", "shortcut", "image", _smaller),
    Fault("one class in darker pictures", "shortcut", "image", _darker),
    Fault("an unreadable file", "corrupt-files", "image", _unreadable),
    Fault(
        "the same text in train and test", "leaked-duplicates", "text", lambda d: _overwritten(d, lambda t: t)
    ),
    Fault(
        "the same text in capitals, with other spaces",
        "leaked-duplicates",
        "text",
        lambda d: _overwritten(d, lambda text: f"  {str(text).upper()} !"),
    ),
    Fault("a long text with a word more", "leaked-twins", "text", lambda d: _overwritten(d, _one_word_more)),
    Fault(
        "a long text with two words more",
        "near-duplicates-across",
        "text",
        lambda d: _overwritten(d, _two_words_more),
    ),
    Fault("copies of texts within train", "duplicates", "text", _repeated),
    Fault("texts with clashing labels", "conflicting-labels", "text", _clashing),
    Fault("one class in longer texts", "shortcut", "text", _longer),
)
