"""The preprocessing contract: what a model was trained with is what it predicts with, proven when it is loaded.

Three proofs stand in the model folder. The digest of the preprocessing record shows whether the record was edited. The
record itself is compared with what the backbone declares (of texts, with the digest of its tokenizer). And the answers
to a few fixed inputs show whether the same record still does the same with the libraries that are installed. The
inputs are drawn here, so that nothing of the user's data is stored.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray

from cutpoint.backbones.backbone import Backbone
from cutpoint.errors import ArtifactError
from cutpoint.model import Model
from cutpoint.runtime import installed_versions
from cutpoint.types import (
    Preprocessing,
    Record,
    SignalPreprocessing,
    TextPreprocessing,
    VectorPreprocessing,
    Words,
)

TOLERANCE = 0.02
"""Of the largest answer: machines differ in the fourth digit, another preprocessing in the first."""
_SENTENCES = (
    "The quick brown fox jumps over 13 lazy dogs.",
    "It wasn't there, was it? Überall, où, 東京: 3,50 €!",
)
_LIBRARIES = ("pillow", "torch", "timm", "transformers", "tokenizers", "numpy")


class Parity(Record):
    """Answers to fixed inputs as they were when the model was saved."""

    answers: tuple[tuple[float, ...], ...]
    versions: dict[str, str]
    """Of the libraries that made them."""


def preprocessing_digest(preprocessing: Preprocessing) -> str:
    """xxh3-128 over the record's content."""
    content = json.dumps(preprocessing.model_dump(mode="json"), sort_keys=True)
    return xxhash.xxh3_128_hexdigest(content.encode())


def measure_parity(model: Model) -> Parity:
    """What the model answers to the fixed inputs now."""
    return Parity(
        answers=tuple(tuple(float(f"{value:.7g}") for value in row) for row in _answers(model)),
        versions=installed_versions(_LIBRARIES),
    )


def check_parity(model: Model, expected: Parity) -> None:
    """Compare with what is answered now.

    Raises:
        ArtifactError: The answers differ by more than arithmetic does.
    """
    for own, known in zip(_answers(model), expected.answers, strict=True):
        then = np.array(known)
        if own.shape == then.shape and np.allclose(
            own, then, rtol=0, atol=TOLERANCE * (1 + np.abs(then).max())
        ):
            continue
        now = installed_versions(_LIBRARIES)
        changed = [
            f"{name} {old} → {now.get(name, 'absent')}"
            for name, old in expected.versions.items()
            if now.get(name) != old
        ]
        raise ArtifactError(
            "The model answers a fixed input otherwise than when it was saved: its inputs are read in another way.",
            f"Since then changed: {', '.join(changed)}. Install the versions of then, or train the model anew."
            if changed
            else "Restore the files of the model and its backbone as they were, or train the model anew.",
        )


def check_preprocessing(stored: Preprocessing, digest: str | None, backbone: Backbone) -> None:
    """Check that the stored record is the one that was written, and what the backbone declares.

    Raises:
        ArtifactError: It is not; the message says which of them changed, and in what.
    """
    was_edited = digest is not None and preprocessing_digest(stored) != digest
    changes = ", ".join(_differences(stored, backbone.preprocessing))
    if was_edited:
        other = f"; {backbone.name} declares another: {changes}" if changes else ""
        raise ArtifactError(
            f"The preprocessing in cutpoint.json was edited{other}.",
            "Restore cutpoint.json as it was written, or train anew with the preprocessing that you want.",
        )
    if changes:
        raise ArtifactError(
            f"The preprocessing of {backbone.name} is not the one that the model was trained with: {changes}.",
            "Restore the backbone's folder (for texts, its tokenizer) as it was then, or train the model anew.",
        )


def _differences(stored: Preprocessing, own: Preprocessing) -> list[str]:
    """Fields that differ, as "name: here, there"."""
    first, second = stored.model_dump(), own.model_dump()
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return [
        f"{name} {_short(first.get(name))} in the model, {_short(second.get(name))} in the backbone"
        for name in names
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _answers(model: Model) -> list[NDArray[np.float64]]:
    """Logits or values of each fixed input; of a language model its likelihoods."""
    inputs = _fixed_inputs(model)
    if model.task.kind == "language":
        return list(model.predict_scores(inputs).astype(np.float64))
    own = model.backbone.inputs
    found = []
    with torch.inference_mode():
        for each in inputs:
            batch = own.collate([_with_room(own.prepare(each), model)])
            logits = model.network(own.to_network(batch.to(model.device)))
            found.append(logits.double().flatten().cpu().numpy())
    return found


def _with_room(prepared: NDArray[Any], model: Model) -> NDArray[Any]:
    """A text without its end, where virtual tokens of an adapter take up positions of the network."""
    preprocessing, adapter = model.backbone.preprocessing, model.adapter
    if not isinstance(preprocessing, TextPreprocessing) or adapter is None or not adapter.is_virtual:
        return prepared
    return prepared[..., : max(preprocessing.max_length - adapter.size, 1)]


def _fixed_inputs(model: Model) -> list[Any]:
    preprocessing = model.backbone.preprocessing
    if preprocessing.kind in ("text", "tfidf"):
        if model.task.kind == "tagging":
            return [Words(text.split()) for text in _SENTENCES]
        return [*_SENTENCES]
    if isinstance(preprocessing, VectorPreprocessing) and preprocessing.kind == "vector":
        return list(np.sin(np.arange(2 * preprocessing.width, dtype=np.float32)).reshape(2, -1))
    if isinstance(preprocessing, SignalPreprocessing):
        return [_chirp(preprocessing.channels, length) for length in (3_000, 5_000)]
    return [_picture(150, 200), _picture(320, 240)]


def _chirp(channels: int, length: int) -> NDArray[np.float32]:
    """Tones that rise and swell, at another pitch in each channel."""
    time = np.linspace(0, 1, length)
    waves = [time * np.sin(200 * (place + 1) * time**2) for place in range(channels)]
    return np.array(waves, dtype=np.float32)


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    """Waves of three colours, which neither are grey nor survive a wrong scale, size or order of channels."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / 9), np.sin((rows + columns) / 23) * 0.5 + 0.4, columns / width * 2 - 1]
    return (127.5 + 127 * np.stack(waves, axis=-1).clip(-1, 1)).astype(np.uint8)
