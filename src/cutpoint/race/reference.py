"""The forgetting meter: what a backbone could do on a reference set before and after an adaptation.

What it could do is asked without its task's head: texts for a language model by their perplexity; pairs of sentences
by the rank correlation of the cosine of their features with the human value (as STS-B is used); any other labelled set
by a linear probe, solved anew on the features of either backbone.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cutpoint.backbones.backbone import Backbone
from cutpoint.errors import DataError
from cutpoint.evaluation.forgetting import pair_similarity, retention
from cutpoint.heads.exact import fit_exact
from cutpoint.heads.modules import Head, NoHead
from cutpoint.model import Model, Network
from cutpoint.types import Dataset, Retention, Task, TextPair

MOST_ROWS = 1000
"""Rows judged at most, and rows that a probe learns from at most."""


class Reference:
    """A labelled set that has nothing to do with the task.

    Args:
        dataset: Its rows; the test split is judged.
        raced: What the race is about: the reference must suit what its backbones take and put out.
        seed: Chooses the rows.

    Raises:
        DataError: The reference is of another kind than the data.
    """

    def __init__(self, dataset: Dataset, raced: Dataset, seed: int) -> None:
        kinds, given, wanted = {"language", "tagging"}, dataset.task.kind, raced.task.kind
        if dataset.modality != raced.modality or (given != wanted and kinds & {given, wanted}):
            raise DataError(
                f"The reference {dataset.source} is {dataset.modality} data for {given}, and the race is about "
                f"{raced.modality} data for {wanted}.",
                "Name a reference of the same kind with --reference: what the backbone puts out is judged on it.",
            )
        self.dataset = dataset
        self.is_pairs = dataset.task.kind == "regression" and isinstance(dataset.inputs[0], TextPair)
        self.task = dataset.task.model_copy(update={"metric": "spearman"}) if self.is_pairs else dataset.task
        self._train = _some(dataset.splits["train"], seed)
        self._test = _some(dataset.splits["test"], seed)
        self._before: WeakKeyDictionary[Backbone, NDArray[np.float32]] = WeakKeyDictionary()

    def retention(self, model: Model) -> Retention | None:
        """How a model compares with its backbone as it came; None where it left the backbone untouched."""
        backbone = model.backbone
        if model.network.backbone is backbone.module:
            return None
        if backbone not in self._before:
            self._before[backbone] = self._scores(backbone, backbone.module)
        return retention(
            self.task,
            self.dataset.targets[self._test],
            self._before[backbone],
            self._scores(backbone, model.network.backbone),
            reference=self.dataset.source,
        )

    def _scores(self, backbone: Backbone, module: nn.Module) -> NDArray[np.float32]:
        if self.task.kind == "language":
            return self._with_head(backbone, module, NoHead()).predict_scores(self._inputs(self._test))
        bare = self._with_head(backbone, module, NoHead())
        if self.is_pairs:
            first, second = (bare.embed([pair[side] for pair in self._inputs(self._test)]) for side in (0, 1))
            return pair_similarity(first, second)[:, None].astype(np.float32)
        features, targets = bare.embed(self._inputs(self._train)), self.dataset.targets[self._train]
        if self.task.kind == "tagging":
            inside = targets[:, : features.shape[1]] >= 0
            features, targets = features[inside], targets[:, : features.shape[1]][inside]
        head = fit_exact(features, targets, self.task.for_heads).head
        return self._with_head(backbone, module, head).predict_scores(self._inputs(self._test))

    def _with_head(self, backbone: Backbone, module: nn.Module, head: Head) -> Model:
        device = next(module.parameters()).device
        network = Network(module, head.to(device))
        task = self.task if not isinstance(head, NoHead) or self.task.kind == "language" else _FEATURES
        return Model(backbone, network, task, "reference", len(backbone.blocks))

    def _inputs(self, rows: NDArray[np.int64]) -> list[Any]:
        return [self.dataset.inputs[int(row)] for row in rows]


_FEATURES = Task(kind="regression", metric="r2")
"""Stands in where a model is only asked for features."""


def _some(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_ROWS])
