"""What the user named for a race, checked as early as can be: by itself, then against the data before they are read."""

from __future__ import annotations

from collections.abc import Sequence

from cutpoint.backbones.backbone import Backbone
from cutpoint.backbones.load import check_name
from cutpoint.backbones.position import cut_position
from cutpoint.evaluation.metrics import check_metric, known_metric
from cutpoint.planning.entries import check_hand_made, each_of, named_backbones
from cutpoint.planning.settings import parse_target
from cutpoint.regimes import Regime, resolve_regimes
from cutpoint.regimes.table import HAND_MADE
from cutpoint.types import WITHOUT_BACKBONE, Modality, Task


class Requested:
    """Names that may be wrong; the backbones are loaded as soon as it is known what they have to read.

    Args:
        backbones: Names, folders or `Backbone`s.
        regimes: What is to race on them.
        image_size: Pixels in place of the backbone's own input size.
        max_length: Tokens in place of the backbone's own limit.
        cut: Where regimes are cut.
        metric: What is judged.
        target: When to stop.
        is_network_needed: Whether backbones are loaded though only hand-made features were named.

    Raises:
        CutpointError: A name that is wrong whatever the data are.
    """

    def __init__(
        self,
        backbones: str | Backbone | Sequence[str | Backbone],
        regimes: str | Regime | Sequence[str | Regime],
        *,
        image_size: int | None = None,
        max_length: int | None = None,
        cut: int | str | None = None,
        metric: str | None = None,
        target: str | None = None,
        is_network_needed: bool = False,
    ) -> None:
        self.regimes = resolve_regimes(regimes)
        are_hand_made = all(regime.name in HAND_MADE for regime in self.regimes)
        self.backbones = [] if are_hand_made and not is_network_needed else each_of(backbones)
        self.image_size = image_size
        self.max_length = max_length
        self.cut = cut
        self.target = target
        self.loaded: list[Backbone] = []
        if metric is not None:
            known_metric(metric)
        parse_target(target, metric)
        for each in self.backbones:
            check_name(each)

    def meet(self, modality: Modality, task: Task) -> None:
        """Check the names against what the data are, and load the backbones.

        Raises:
            CutpointError: Something does not fit such data, or a backbone cannot be had.
        """
        check_metric(task)
        parse_target(self.target, task.metric)
        check_hand_made(self.regimes, modality, task)
        if modality in WITHOUT_BACKBONE:
            return
        self.loaded = named_backbones(self.backbones, modality, task, self.image_size, self.max_length)
        if self.cut is not None:
            for backbone in self.loaded:
                cut_position(backbone, self.cut)
