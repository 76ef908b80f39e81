"""BatchNorm drift: running statistics that a fit moved away from the pretrained ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cutpoint.data.collected import few
from cutpoint.types import Finding

_MOST_NAMED = 3


@dataclass(frozen=True)
class MovedStatistics:
    """One BatchNorm layer whose running statistics moved.

    Attributes:
        layer: Its path in the backbone.
        distance: Mean change of the running mean, in pretrained standard deviations of the channel.
        is_frozen: Whether the layer's own scale and shift did not train.
    """

    layer: str
    distance: float
    is_frozen: bool


def moved_statistics(
    tuned: nn.Module, pretrained: nn.Module, trained: Collection[str]
) -> tuple[MovedStatistics, ...]:
    """Layers whose statistics differ, the farthest first.

    Args:
        tuned: The backbone after training.
        pretrained: The same as it came.
        trained: Names of the parameters that trained.
    """
    known = {path: layer for path, layer in pretrained.named_modules() if isinstance(layer, _BatchNorm)}
    found = []
    for path, layer in tuned.named_modules():
        before = known.get(path)
        if not isinstance(layer, _BatchNorm) or before is None or layer is before:
            continue
        own, old, spread = layer.running_mean, before.running_mean, before.running_var
        if own is None or old is None or spread is None:
            continue
        old, spread = old.to(own.device), spread.to(own.device)
        distance = ((own - old).abs() / (spread + layer.eps).sqrt()).mean()
        if distance > 0:
            found.append(MovedStatistics(path, float(distance), f"{path}.weight" not in trained))
    return tuple(sorted(found, key=lambda each: -each.distance))


def batchnorm_finding(moved: Collection[MovedStatistics]) -> Finding | None:
    """A warning where layers that were to stay as they are drifted; information where the regime trains them."""
    if not moved:
        return None
    frozen = [each for each in moved if each.is_frozen]
    shown = frozen or list(moved)
    named = [f"{each.layer} by {each.distance:.2g} standard deviations" for each in shown]
    text = (
        f"BatchNorm drift: the running statistics of {len(frozen)} frozen layers moved."
        if frozen
        else f"BatchNorm trains on batch statistics: the running statistics of {len(shown)} layers moved."
    )
    return Finding(
        code="batchnorm-drift",
        severity="warning" if frozen else "info",
        text=text,
        evidence=few(named, _MOST_NAMED),
        remedy="Leave `batchnorm` at `inference`, which keeps the pretrained statistics.",
    )
