"""How good a network is on rows that it does not train on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

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
_Loss = tuple[float, float]
"""Summed over some rows, and the weight that it is to be divided by."""


class Judged(NamedTuple):
    """What is found on some rows.

    Attributes:
        loss: Mean.
        metric: Of the task.
        scores: (N, …), see `Judge.scores`.
    """

    loss: float | None = None
    metric: float | None = None
    scores: NDArray[np.float32] | None = None


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
        parts: list[Tensor] = [torch.empty(0)] * len(positions)
        for places, features in self._run(source, positions, lambda features, _: features):
            for place, part in zip(places.tolist(), features, strict=True):
                parts[place] = part
        inside = self._is_target(positions)
        if inside is None:
            return torch.stack(parts)
        return torch.cat([part[kept[: len(part)]] for part, kept in zip(parts, inside, strict=True)])

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
        return _mean(loss for _, (loss, _) in self._run(source, positions, self._loss_and_logits))

    def judge(self, source: Source, positions: Positions) -> Judged:
        """Loss, the task's metric and scores; none of them without rows, or where the loss is not finite."""
        if len(positions) == 0:
            return Judged()
        loss, scores = self._judge(source, positions)
        if not math.isfinite(loss):
            return Judged()
        targets = self.targets[positions].cpu().numpy()
        return Judged(loss, float(self.metric.function(targets, scores, self.task)), scores)

    def figure(self, keep: str, loss: float, metric: float) -> float:
        """What decides which weights are kept, lower is better: the loss or the metric."""
        if keep == "loss":
            return loss
        return -self.metric.sign * metric

    def _judge(self, source: Source, positions: Positions) -> tuple[float, NDArray[np.float32]]:
        losses: list[_Loss] = []
        table: NDArray[np.float32] | None = None

        def judged(features: Tensor, rows: Positions) -> tuple[_Loss, NDArray[np.float32]]:
            loss, logits = self._loss_and_logits(features, rows)
            return loss, scores_of(self.task, logits, self.targets[rows]).float().cpu().numpy()

        for places, (loss, found) in self._run(source, positions, judged):
            losses.append(loss)
            if table is None:
                table = np.empty((len(positions), *found.shape[1:]), dtype=np.float32)
            table[places] = found
        assert table is not None
        return _mean(losses), table

    def _loss_and_logits(self, features: Tensor, rows: Positions) -> tuple[_Loss, Tensor]:
        logits, targets = self.network.head(features), self.targets[rows]
        return (float(self.loss.total(logits, targets)), float(self.loss.weight(targets))), logits

    def _run(
        self, source: Source, positions: Positions, function: Callable[[Tensor, Positions], Found]
    ) -> Iterator[tuple[Positions, Found]]:
        """Places in `positions`, batch by batch, with the function of the features there; texts of like length
        together."""
        order = np.arange(len(positions))
        if source.lengths is not None:
            order = np.argsort(source.lengths[positions], kind="stable")

        def run(places: Positions) -> Found:
            rows = positions[places]
            return function(source.features(*source.read(rows, 0, False)), rows)

        with inference(self.network):
            for start in range(0, len(order), EVALUATION_BATCH):
                yield from in_parts(run, order[start : start + EVALUATION_BATCH])


def _mean(losses: Iterable[_Loss]) -> float:
    total = weight = 0.0
    for loss, counted in losses:
        total, weight = total + loss, weight + counted
    return total / weight if weight else math.nan
