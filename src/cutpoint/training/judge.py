"""How good a network is on rows that it does not train on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cutpoint.backbones.order import inference
from cutpoint.evaluation.metrics import check_metric
from cutpoint.heads.modules import predict_scores
from cutpoint.model import Network
from cutpoint.objectives import SupervisedLoss
from cutpoint.training.source import Positions, Source

EVALUATION_BATCH = 64


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
        """(N, width) pooled features."""
        return self._run(source, positions, lambda features: features)

    def scores(self, source: Source, positions: Positions) -> NDArray[np.float32]:
        """(N, outputs) probabilities or values."""
        return predict_scores(self.task, self._logits(source, positions)).cpu().numpy()

    def mean_loss(self, source: Source, positions: Positions) -> float:
        """Mean loss over the rows."""
        return float(self.loss(self._logits(source, positions), self.targets[positions]))

    def judge(self, source: Source, positions: Positions) -> tuple[float | None, float | None]:
        """Loss and the task's metric; None and None without rows, or where the loss is not finite."""
        if len(positions) == 0:
            return None, None
        logits = self._logits(source, positions)
        loss = float(self.loss(logits, self.targets[positions]))
        if not math.isfinite(loss):
            return None, None
        scores = predict_scores(self.task, logits).cpu().numpy()
        targets = self.targets[positions].cpu().numpy()
        return loss, float(self.metric.function(targets, scores, self.task))

    def figure(self, keep: str, loss: float, metric: float) -> float:
        """What decides which weights are kept, lower is better: the loss or the metric."""
        if keep == "loss":
            return loss
        return -metric if self.metric.greater_is_better else metric

    def _logits(self, source: Source, positions: Positions) -> Tensor:
        return self._run(source, positions, self.network.head)

    def _run(self, source: Source, positions: Positions, function: Callable[[Tensor], Tensor]) -> Tensor:
        starts = range(0, len(positions), EVALUATION_BATCH)
        with inference(self.network):
            return torch.cat(
                [
                    function(source.features(source.read(positions[s : s + EVALUATION_BATCH], 0, False)))
                    for s in starts
                ]
            )
