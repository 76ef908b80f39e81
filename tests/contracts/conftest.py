"""Tiny backbones with images and texts that every regime can learn from in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tiny_texts
from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.from_module import from_module
from cutpoint.backbones.load import load_backbone
from cutpoint.features.bank import FeatureBank
from cutpoint.features.store import ActivationCache
from cutpoint.regimes import Regime
from cutpoint.regimes.recipe import Recipe, resolve_recipe
from cutpoint.training.fit import Fit, FitData
from cutpoint.types import Dataset, ImagePreprocessing, Modality, Readout, Task

torch.set_num_threads(1)  # networks this small only wait for one another on several threads

SIZE = 16
ROWS = 60
TRAIN = 36
CUT = 2


class TinyConvolutional(nn.Module):
    """Four convolutions with BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 8, 8, 12, 16)
        for number in range(4):
            layers = [
                nn.Conv2d(
                    widths[number], widths[number + 1], 3, stride=1 + number % 2, padding=1, bias=False
                ),
                nn.BatchNorm2d(widths[number + 1]),
                nn.ReLU(),
            ]
            self.add_module(f"stage{number}", nn.Sequential(*layers))

    def forward(self, inputs: Tensor) -> Tensor:
        for stage in self.children():
            inputs = stage(inputs)
        return inputs.mean((2, 3))


class TinyLayer(nn.Module):
    """Attention and a perceptron with dropout, as in a vision transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(0.1))

    def forward(self, tokens: Tensor) -> Tensor:
        keys = self.attention(self.norm(tokens))
        mixed = torch.softmax(tokens @ keys.transpose(1, 2) / 4, dim=-1) @ tokens
        return tokens + mixed + self.mlp(tokens)


class TinyTransformer(nn.Module):
    """Patches, a class token that no block holds, three layers and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.layers = nn.ModuleList([TinyLayer(16) for _ in range(3)])
        self.norm = nn.LayerNorm(16)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.token)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.patches(inputs).flatten(2).transpose(1, 2) + self.token
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens).mean(1)


_BLOCKS = {
    "convolutional": ("stage0", "stage1", "stage2", "stage3"),
    "transformer": ("patches", "layers.0", "layers.1", "layers.2", "norm"),
}


def _vision(kind: str) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        module = TinyConvolutional() if kind == "convolutional" else TinyTransformer()
        module.train()
        for _ in range(5):  # running statistics of real activations
            module(torch.randn(16, 3, SIZE, SIZE))
    preprocessing = ImagePreprocessing(
        size=(SIZE, SIZE), resize=SIZE, mean=(0.5,) * 3, std=(0.25,) * 3, made_by="test"
    )
    return from_module(module.eval(), preprocessing=preprocessing, blocks=_BLOCKS[kind], name=kind)


def _text(kind: str, task: str, folder: Path) -> Backbone:
    if kind == "language":
        return load_backbone(tiny_texts.save_language_model(folder), readout="language")
    readout: Readout = "words" if task == "tagging" else "pooled"
    return load_backbone(tiny_texts.save_encoder(folder), readout=readout)


def _images(labels: np.ndarray) -> list[np.ndarray]:
    """Noise, with a bright square that stands in another corner and colour for each class."""
    random = np.random.default_rng(3)
    images = random.integers(0, 140, (len(labels), SIZE, SIZE, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 8, 2:10, label] += 90
    return list(images)


def make_dataset(modality: Modality = "image", kind: str = "multiclass") -> Dataset:
    """Sixty images or texts of three classes, with the targets of another kind of task on demand."""
    labels = np.arange(ROWS) % 3
    inputs: list[Any]
    tasks: dict[str, tuple[Task, np.ndarray]] = {
        "multiclass": (Task(kind="multiclass", labels=("a", "b", "c")), labels.astype(np.int64)),
        "multilabel": (
            Task(kind="multilabel", labels=("a", "b", "c")),
            np.eye(3, dtype=np.float32)[labels] + np.eye(3, dtype=np.float32)[(labels + 1) % 3],
        ),
        "regression": (Task(kind="regression", metric="r2"), (100.0 + 10 * labels).astype(np.float32)),
        "language": (Task(kind="language", metric="perplexity"), np.zeros(ROWS, dtype=np.int64)),
    }
    if kind == "tagging":
        inputs, targets = tiny_texts.tagged_sentences(ROWS)
        task = Task(kind="tagging", labels=tiny_texts.TAGS, metric="entity_f1")
    else:
        task, targets = tasks[kind]
        inputs = tiny_texts.sentences(ROWS) if kind == "language" else tiny_texts.texts_of_animals(labels)
        inputs = _images(labels) if modality == "image" else inputs
    return Dataset(
        source="generated",
        modality=modality,
        task=task,
        inputs=inputs,
        targets=targets,
        splits={"train": np.arange(ROWS)},
        keys=tuple(f"{kind} {row}" for row in range(ROWS)),
        names=tuple(f"row {row}" for row in range(ROWS)),
    )


class Bench:
    """A tiny backbone with data, and fits on it."""

    def __init__(self, kind: str, folder: Path, task: str = "multiclass", limit: int = 1 << 30) -> None:
        is_text = kind in ("encoder", "tagger", "language")
        task = {"tagger": "tagging", "language": "language"}.get(kind, task)
        self.backbone = _text(kind, task, folder / "backbone") if is_text else _vision(kind)
        dataset = make_dataset("text" if is_text else "image", task)
        self.cache = ActivationCache(folder / "cache", limit)
        self.bank = FeatureBank(self.backbone, dataset, np.arange(ROWS), self.cache)
        self.data = FitData(
            self.bank, self.bank.targets, dataset.task, np.arange(TRAIN), np.arange(TRAIN, ROWS)
        )

    @property
    def unjudged(self) -> FitData:
        """The same rows without validation: the last weights are kept."""
        return FitData(
            self.bank, self.data.targets, self.data.task, self.data.train, np.arange(0, dtype=np.int64)
        )

    def recipe(self, regime: Regime, epochs: int | None = None, rate: float = 3e-3) -> Recipe:
        """Resolved for the tiny data, with that many epochs for each stage of gradient steps."""
        recipe = resolve_recipe(regime, self.backbone, cut=CUT, rows=TRAIN, task=self.data.task)
        if recipe.rate_candidates:
            recipe = recipe.with_rate(rate)
        if recipe.rank_is_open:
            recipe = recipe.with_rank(4)
        if epochs is None:
            return recipe
        return recipe.with_epochs([epochs if s.phase.solver == "gradient" else 0 for s in recipe.stages])

    def fit(
        self, regime: Regime, *, epochs: int | None = 2, data: FitData | None = None, **options: Any
    ) -> Fit:
        """A fit that has not begun."""
        recipe = self.recipe(regime, epochs, options.pop("rate", 3e-3))
        return Fit(recipe, data or self.data, **{"seed": 0, **options})


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bench]:
    """(kind, task, limit of the cache) → a bench, made once."""
    made: dict[tuple[Any, ...], Bench] = {}

    def bench(kind: str = "convolutional", task: str = "multiclass", limit: int = 1 << 30) -> Bench:
        key = (kind, task, limit)
        if key not in made:
            made[key] = Bench(kind, tmp_path_factory.mktemp("cache"), task, limit)
        return made[key]

    return bench
