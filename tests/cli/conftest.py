"""A tiny folder of images, tiny models of texts, and the command line run in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))  # tiny_texts.py stands beside those tests

import tiny_texts


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that a probe tells apart: upright and level bars, 12 a class."""
    folder = tmp_path_factory.mktemp("bars")
    random = np.random.default_rng(0)
    for label in ("level", "upright"):
        (folder / label).mkdir()
        for number in range(12):
            pixels = random.integers(0, 60, (24, 24)).astype(np.uint8)
            start = int(random.integers(4, 16))
            if label == "level":
                pixels[start : start + 4, 3:21] = 230
            else:
                pixels[3:21, start : start + 4] = 230
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def cutpoint(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; stdout and stderr apart."""
    from cutpoint.cli.main import main

    monkeypatch.delenv("CUTPOINT_DEBUG", raising=False)

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture(scope="session")
def trained(bars: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one probe."""
    from cutpoint import api

    out = tmp_path_factory.mktemp("trained") / "run"
    api.fit(
        str(bars),
        backbones="builtin:glyphs",
        regimes="linear-probe",
        budget=60,
        out=out,
        cache=out.parent / "cache",
    )
    return out


_LORA = """
adapter: {kind: lora, rank: 2}
phases: [{train: adapter, epochs: 1, rate: 1.0e-2}]
"""


def _fit(folder: Path, data: Path, backbone: Path, regime: str | Path) -> Path:
    from cutpoint import api

    out = folder / "run"
    api.fit(data, backbones=str(backbone), regimes=str(regime), budget=60, out=out, cache=folder / "cache")
    return out


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder on disk."""
    return tiny_texts.save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def storyteller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language model on disk."""
    return tiny_texts.save_language_model(tmp_path_factory.mktemp("language"))


@pytest.fixture(scope="session")
def animals(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of LoRA on texts about three animals."""
    folder = tmp_path_factory.mktemp("animals")
    labels = np.arange(48) % 3
    texts = tiny_texts.texts_of_animals(labels)
    rows = [f"{text},{tiny_texts.ANIMALS[label]}" for text, label in zip(texts, labels, strict=True)]
    (folder / "texts.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "quick-lora.yaml").write_text(_LORA)
    return _fit(folder, folder / "texts.csv", encoder, folder / "quick-lora.yaml")


@pytest.fixture(scope="session")
def tagger(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a probe on words with tags."""
    folder = tmp_path_factory.mktemp("tagger")
    sentences, targets = tiny_texts.tagged_sentences(40)
    tags = [[tiny_texts.TAGS[tag] for tag in row if tag >= 0] for row in targets]
    rows = [json.dumps({"tokens": words, "tags": own}) for words, own in zip(sentences, tags, strict=True)]
    (folder / "words.jsonl").write_text("\n".join(rows))
    return _fit(folder, folder / "words.jsonl", encoder, "linear-probe")


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty short chats."""
    file = tmp_path_factory.mktemp("chats") / "chats.jsonl"
    rows = [
        [{"role": "user", "content": text[: len(text) // 2]}, {"role": "assistant", "content": text}]
        for text in tiny_texts.sentences(20)
    ]
    file.write_text("\n".join(json.dumps({"messages": row}) for row in rows))
    return file


@pytest.fixture(scope="session")
def writer(storyteller: Path, chats: Path) -> Path:
    """A finished run of a language model as it came."""
    return _fit(chats.parent, chats, storyteller, "unchanged")
