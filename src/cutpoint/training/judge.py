"""How good a network is on rows that it does not train on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.order import inference
from cutpoint.evaluation.metrics import check_metric
from cutpoint.heads.modules import scores_of
from cutpoint.model import Network
from cutpoint.objectives import SupervisedLoss
from cutpoint.runtime import in_parts
from cutpoint.training.source import Positions, Source
from cutpoint.types import IGNORED

EVALUATION_BATCH = 64
Found = TypeVar("Found")


class Judge:
    """Runs a network in inference mode and compares what it says with the targets.

    Args:
        network: What is judged.
        targets: (N, …) of the bank's rows, as tensors on the device.
        loss: What is measured beside the task's metric.
    """

    def __init__(self, network: Network, targets: Tensor, loss: SupervisedLoss) -> None:
        self.network = network
        self.targets = targets
        self.loss = loss
        self.task = loss.task
        self.metric = check_metric(loss.task)

    def features(self, source: Source, positions: Positions) -> Tensor:
        """(N, width) pooled features; where words are read out, (words with a target, width)."""
        parts: dict[int, Tensor] = {}
        for rows, features in self._run(source, positions, lambda features, _: features):
            parts.update(zip(rows.tolist(), features, strict=True))
        inside = self._is_target(positions)
        ordered = [parts[row] for row in positions.tolist()]
        if inside is None:
            return torch.stack(ordered)
        return torch.cat([part[kept[: len(part)]] for part, kept in zip(ordered, inside, strict=True)])

    def labels(self, positions: Positions) -> NDArray[Any]:
        """The targets that belong to `features`: (N, …), or (words with a target,)."""
        targets, inside = self.targets[positions], self._is_target(positions)
        return (targets if inside is None else targets[inside]).cpu().numpy()

    def owners(self, positions: Positions) -> Positions | None:
        """Which of the positions each of the `labels` belongs to; None where each has one."""
        inside = self._is_target(positions)
        return None if inside is None else inside.nonzero()[:, 0].cpu().numpy()

    def _is_target(self, positions: Positions) -> Tensor | None:
        return self.targets[positions] != IGNORED if self.task.kind == "tagging" else None

    def scores(self, source: Source, positions: Positions) -> NDArray[np.float32]:
        """(N, …) what is compared with the targets: see `scores_of`."""
        return self._judge(source, positions)[1]

    def mean_loss(self, source: Source, positions: Positions) -> float:
        """Mean loss over the rows (over words or tokens, where those have the targets)."""
        return self._judge(source, positions)[0]

    def judge(self, source: Source, positions: Positions) -> tuple[float | None, float | None]:
        """Loss and the task's metric; None and None without rows, or where the loss is not finite."""
        if len(positions) == 0:
            return None, None
        loss, scores = self._judge(source, positions)
        if not math.isfinite(loss):
            return None, None
        targets = self.targets[positions].cpu().numpy()
        return loss, float(self.metric.function(targets, scores, self.task))

    def figure(self, keep: str, loss: float, metric: float) -> float:
        """What decides which weights are kept, lower is better: the loss or the metric."""
        if keep == "loss":
            return loss
        return -self.metric.sign * metric

    def _judge(self, source: Source, positions: Positions) -> tuple[float, NDArray[np.float32]]:
        total, weight = 0.0, 0.0
        scores: dict[int, NDArray[np.float32]] = {}

        def judged(features: Tensor, rows: Positions) -> tuple[float, float, NDArray[np.float32]]:
            logits, targets = self.network.head(features), self.targets[rows]
            loss, counted = self.loss.total(logits, targets), self.loss.weight(targets)
            return float(loss), float(counted), scores_of(self.task, logits, targets).float().cpu().numpy()

        for rows, (loss, counted, found) in self._run(source, positions, judged):
            total += loss
            weight += counted
            scores.update(zip(rows.tolist(), found, strict=True))
        return total / weight if weight else math.nan, np.stack([scores[row] for row in positions.tolist()])

    def _run(
        self, source: Source, positions: Positions, function: Callable[[Tensor, Positions], Found]
    ) -> Iterator[tuple[Positions, Found]]:
        """Batches of positions with the function of their features; texts of like length together."""
        order = positions
        if source.lengths is not None:
            order = positions[np.argsort(source.lengths[positions], kind="stable")]

        def run(rows: Positions) -> Found:
            return function(source.features(*source.read(rows, 0, False)), rows)

        with inference(self.network):
            for start in range(0, len(order), EVALUATION_BATCH):
                yield from in_parts(run, order[start : start + EVALUATION_BATCH])
